"""HTTP: the contract's methods transcoded to paths, JSON and event streams."""
