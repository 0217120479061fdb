"""Who did what, and what became of it, as the edge tells the audit."""
