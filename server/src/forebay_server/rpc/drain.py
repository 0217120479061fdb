"""Leaving gracefully: running calls go on for a while, then they are told to go elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from forebay_server.errors import ServerDraining


class Drain:
    """Knows the running calls, and can end all of them with SERVER_DRAINING."""

    def __init__(self) -> None:
        self._running: set[asyncio.Timeout] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Count a call; ServerDraining rises in its body when the drain time is over."""
        # A timeout without a time is the one way of asyncio to interrupt a body and to tell that
        # apart from a client that cancels.
        timeout = asyncio.timeout(None)
        self._running.add(timeout)
        self._idle.clear()
        try:
            async with timeout:
                yield
        except TimeoutError as error:
            if timeout.expired():
                raise ServerDraining from error
            raise
        finally:
            self._running.discard(timeout)
            if not self._running:
                self._idle.set()

    async def idle_within(self, seconds: float) -> None:
        """Return once no call runs, or after that time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    def cut(self) -> None:
        """End all running calls with SERVER_DRAINING."""
        now = asyncio.get_running_loop().time()
        for timeout in self._running:
            if timeout.when() is None:
                timeout.reschedule(now)
