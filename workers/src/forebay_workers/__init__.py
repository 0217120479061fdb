"""Forebay's stages, from cataloguing to generation and auditing, on one record loop."""
