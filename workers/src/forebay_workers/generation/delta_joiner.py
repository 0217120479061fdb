"""Joins the small pieces of a model's text, so that the log carries fewer and larger ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

JOIN_SECONDS = 0.03  # below what a reader notices, and two to three tokens of a fast model


class DeltaJoiner:
    """Passes the first piece on at once and joins later ones for up to 30 ms."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._held: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._begun = False

    def add(self, text: str) -> None:
        """Take a piece of text."""
        self._held.append(text)
        if not self._begun:
            self._begun = True
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(JOIN_SECONDS, self.flush)

    def flush(self) -> None:
        """Pass on what is held."""
        self.drop_timer()
        if self._held:
            text, self._held = "".join(self._held), []
            self._write(text)

    def drop_timer(self) -> None:
        """Let nothing be passed on later."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
