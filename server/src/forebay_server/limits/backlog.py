"""How many documents of a tenant wait to be indexed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from forebay_postgres.errors import StorageError

# A count takes Postgres 30 ms for 100,000 documents and 400 ms for a million: at most a twentieth
# of one connection goes into counting a tenant, however many it has.
FRESH_SECONDS, FRESH_FACTOR = 1.0, 20.0
STALE_SECONDS = 10.0  # until then a count that is being renewed still serves: nobody waits for it
PATIENCE_SECONDS = 0.25  # a document waits no longer for a first count
BLIND_SECONDS = 5.0  # between attempts while nobody can count
MAX_TENANTS = 10_000  # of whom a number is kept; a few hundred bytes each

Count = Callable[[str, int], Awaitable[int]]
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Tenant:
    counted: int | None = None
    accepted: int = 0  # by this process, since the last count began
    fresh_until: float = 0.0
    counting: asyncio.Task[None] | None = None


class Backlog:
    """Counts by the catalogue, and by what this process has accepted since it last asked.

    The catalogue may be seconds behind the log, and other processes accept too: the limit holds a
    flood back, it is not exact to the document. Where nobody can count, nothing is refused:
    documents are accepted while Postgres is down. `count(tenant, at_most)` is
    CatalogueReader.count_waiting; `clock` counts seconds and never goes back.
    """

    def __init__(self, count: Count, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._clock = clock
        self._tenants: OrderedDict[str, _Tenant] = OrderedDict()
        self._blind = False

    async def waiting(self, tenant: str, limit: int) -> int | None:
        """The documents that wait, counted up to `limit`; None where nobody can tell."""
        known, now = self._known(tenant), self._clock()
        if now >= known.fresh_until:
            if known.counting is None or known.counting.done():
                known.counting = asyncio.create_task(self._refresh(tenant, known, limit))
            missing = known.counted is None or now >= known.fresh_until + STALE_SECONDS
            if missing and not self._blind:
                await asyncio.wait([known.counting], timeout=PATIENCE_SECONDS)
        return None if known.counted is None else known.counted + known.accepted

    def accepted(self, tenant: str) -> None:
        """Note that a document was let in."""
        self._known(tenant).accepted += 1

    async def close(self) -> None:
        """End the counts that are under way."""
        counting = [known.counting for known in self._tenants.values() if known.counting]
        for task in counting:
            task.cancel()
        await asyncio.gather(*counting, return_exceptions=True)

    def _known(self, tenant: str) -> _Tenant:
        known = self._tenants.setdefault(tenant, _Tenant())
        self._tenants.move_to_end(tenant)
        if len(self._tenants) > MAX_TENANTS:
            self._tenants.popitem(last=False)
        return known

    async def _refresh(self, tenant: str, known: _Tenant, limit: int) -> None:
        began, before = self._clock(), known.accepted
        try:
            known.counted = await self._count(tenant, limit)
            known.accepted -= before
        except StorageError as error:
            known.counted, known.fresh_until = None, self._clock() + BLIND_SECONDS
            self._report(error)
            return
        now = self._clock()
        known.fresh_until = now + max(FRESH_SECONDS, FRESH_FACTOR * (now - began))
        self._report(None)

    def _report(self, error: StorageError | None) -> None:
        was_blind, self._blind = self._blind, error is not None
        if error is not None and not was_blind:
            _log.warning("waiting documents cannot be counted", extra={"error": str(error)})
        elif error is None and was_blind:
            _log.warning("waiting documents are counted again")
