"""Names and cursors that nobody but the edge can make."""
