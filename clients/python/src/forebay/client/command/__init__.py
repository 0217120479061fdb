"""The `forebay` command."""

from forebay.client.command.root import main

__all__ = ["main"]
