"""Forebay's log: records, topics, envelope, the fold of answers, producer and consumer threads."""
