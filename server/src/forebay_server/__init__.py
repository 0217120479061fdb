"""Forebay's edge: the governed services in front of the log."""
