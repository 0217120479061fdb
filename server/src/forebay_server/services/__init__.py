"""The services of the contract: each method unpacks, asks one collaborator, and packs."""
