"""Retrieval: passages for questions, from what their askers may see."""
