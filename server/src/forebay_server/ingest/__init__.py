"""Documents on their way into the log."""
