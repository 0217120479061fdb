"""Cataloguing: what exists, its newest version, and what has ended."""
