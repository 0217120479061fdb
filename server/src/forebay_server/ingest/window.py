"""How far a stream is read ahead of its responses."""

from __future__ import annotations

import asyncio

MAX_REQUESTS = 64  # as the contract promises
MAX_BYTES = 16 * 1024 * 1024  # 64 documents of 4 MiB each would take 256 MiB per stream


class Window:
    """Counts the requests that have no response yet, and their bytes."""

    def __init__(self, max_requests: int = MAX_REQUESTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = 0
        self._bytes = 0
        self._moved = asyncio.Event()

    async def room(self) -> None:
        """Return once another request may be read."""
        while self._requests >= self._max_requests or self._bytes >= self._max_bytes:
            self._moved.clear()
            await self._moved.wait()

    def enter(self, size: int) -> None:
        """Count a request of that many bytes."""
        self._requests += 1
        self._bytes += size

    def leave(self, size: int) -> None:
        """Its response is on its way."""
        self._requests -= 1
        self._bytes -= size
        self._moved.set()
