"""Turns at something scarce, given so that nobody's crowd holds up anybody else."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairTurns:
    """A semaphore between tenants.

    A turn that becomes free goes to the tenant that holds the fewest, and among equals to the one
    that waits longest (max-min fairness); within a tenant they go in the order of asking.
    """

    def __init__(self, places: int) -> None:
        """`places` is how many turns there are at a time."""
        self._free = places
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # longest waiting tenant first

    @asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator[None]:
        """Hold one of the turns within the block, from the moment when it is the tenant's."""
        if self._free:
            self._grant(tenant)
        else:
            await self._wait(tenant)
        try:
            yield
        finally:
            self._give_back(tenant)

    async def _wait(self, tenant: str) -> None:
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._forget(tenant, granted)
            else:  # cancelled in the moment in which it was granted
                self._give_back(tenant)
            raise

    def _grant(self, tenant: str) -> None:
        self._free -= 1
        self._held[tenant] += 1

    def _give_back(self, tenant: str) -> None:
        self._free += 1
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]
        if self._waiting:
            following = min(self._waiting, key=self._held.__getitem__)
            granted = self._waiting[following].popleft()
            # To the end: equals take turns.
            if rest := self._waiting.pop(following):
                self._waiting[following] = rest
            self._grant(following)
            granted.set_result(None)

    def _forget(self, tenant: str, granted: asyncio.Future[None]) -> None:
        self._waiting[tenant].remove(granted)
        if not self._waiting[tenant]:
            del self._waiting[tenant]
