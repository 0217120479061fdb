"""Questions on their way into the log."""
