"""Embedding: sets of chunks into the index, whole or not at all."""
