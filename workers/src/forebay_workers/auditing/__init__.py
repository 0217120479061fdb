"""Auditing: who did what, written down for those who have to know."""
