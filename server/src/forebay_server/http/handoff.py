"""A few outcomes between one task that makes them and one that sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Handoff(Generic[ItemT]):
    """A bounded queue of one writer and one reader, who takes everything at once.

    An idle asyncio.Queue has four deques, which take 3 KiB of each stream.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: list[ItemT] = []
        self._arrived: asyncio.Future[None] | None = None
        self._taken: asyncio.Future[None] | None = None

    async def put(self, item: ItemT) -> None:
        """Add an item, once there are fewer than the most."""
        while len(self._waiting) >= self._most:
            self._taken = asyncio.get_running_loop().create_future()
            await self._taken
        self._waiting.append(item)
        _wake(self._arrived)

    async def take(self) -> Sequence[ItemT]:
        """All that waits, once there is something; may be cancelled without a loss."""
        while not self._waiting:
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived
        taken, self._waiting = self._waiting, []
        _wake(self._taken)
        return taken


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
