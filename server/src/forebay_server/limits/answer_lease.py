"""The place that one answer takes among those that its asker may have under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from forebay_server.clock import Clock, system_clock
from forebay_server.limits.store import LimitStore, StoreDown

LEASE_SECONDS = 30.0  # after which the answer of an edge that died is forgotten
RENEW_SECONDS = 10.0  # two renewals may fail


class AnswerLease:
    """A lease of (holder, name of the query): whoever serves it, and however often, there is one.

    While an edge follows the answer it renews the lease, so that the lease of an edge that dies
    ends within LEASE_SECONDS. An answer that nobody follows holds its lease up to its query's end,
    `expire_time`, because it goes on costing: a closed connection does not cancel it. The lease
    ends earlier once any edge sees the answer's terminal event and calls `end`. A follower that
    does not know `expire_time` leaves the lease as it last renewed it.

    `new` says that no earlier call is known to have taken the lease. Without a holder there is no
    limit and no lease.
    """

    def __init__(
        self,
        store: LimitStore,
        holder: str | None,
        name: str,
        *,
        expire_time: float | None = None,
        new: bool = False,
        clock: Clock = system_clock,
    ) -> None:
        self._store = store
        self._holder = holder
        self._name = name
        self._expire_time = expire_time
        self.new = new
        self._clock = clock
        self._ended = False
        self._renewing: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Renew the lease while the block runs; then leave it to the answer, unless that ended."""
        if self._holder is not None:
            self._renewing = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            self._stop_renewing()
            if not self._ended and self._expire_time is not None:
                await self._hold(self._expire_time - self._clock())

    async def end(self) -> None:
        """Give the lease back: the answer has ended."""
        self._ended = True
        self._stop_renewing()
        if self._holder is not None:
            # What is not given back now ends by itself.
            with suppress(StoreDown):
                await self._store.release(self._holder, self._name)

    async def undo(self) -> None:
        """Give the lease back if this call took it, and its question does not reach the log."""
        if self.new:
            await self.end()

    def _stop_renewing(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            await self._hold(LEASE_SECONDS)

    async def _hold(self, seconds: float) -> None:
        if self._holder is not None and seconds > 0:
            # Without a limit: an answer under way is never cut.
            with suppress(StoreDown):
                await self._store.hold(self._holder, self._name, None, seconds)
