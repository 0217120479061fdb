"""The whole of Forebay on one machine, run from packages as child processes."""
