"""Takes the text out of documents: `pool` is the way in, `parsers` knows the MIME types.

Documents are hostile until proven otherwise, so parsers run in child processes with limits.
"""
