"""Forebay's figures beside their baselines, and a model server that misbehaves on request."""
