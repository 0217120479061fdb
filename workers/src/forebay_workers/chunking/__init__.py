"""Cuts a document's text into pieces that an embedding model reads whole."""
