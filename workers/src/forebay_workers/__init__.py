"""Forebay's stages: cataloguing, chunking, embedding, retrieval and generation on a record loop."""
