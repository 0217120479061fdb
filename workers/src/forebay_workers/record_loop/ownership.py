"""A stage's idea of its partitions, kept in step with the group's."""

import asyncio
import logging
from typing import Any

from forebay_workers.record_loop.clock import Clock
from forebay_workers.record_loop.errors import facts_of
from forebay_workers.record_loop.retry import Backoff
from forebay_workers.record_loop.stage import Stage

log = logging.getLogger(__name__)


class Ownership:
    """Calls a stage's `take_over` and `release`, one at a time and never crosswise."""

    def __init__(self, stage: Stage[Any], backoff: Backoff, clock: Clock) -> None:
        self._stage = stage
        self._backoff = backoff
        self._clock = clock
        self._turn = asyncio.Lock()
        self._wanted: frozenset[int] = frozenset()
        self._begun: frozenset[int] = frozenset()
        self._taken: frozenset[int] = frozenset()
        self._taking: asyncio.Task[None] | None = None

    async def take(self, numbers: frozenset[int]) -> None:
        """Return once the stage has taken over all partitions that are still wanted."""
        self._wanted |= numbers
        while self._wanted - self._taken:
            async with self._turn:
                await self._take(self._wanted - self._taken)

    async def release(self, numbers: frozenset[int]) -> None:
        """Return once the stage has let go.

        A take-over ends unfinished for these partitions; for others it begins again afterwards:
        the group waits for a release, and a take-over may last as long as an outage.
        """
        self._wanted -= numbers
        if not numbers & self._begun:
            return
        if self._taking is not None:
            self._taking.cancel()
        async with self._turn:
            gone = self._begun & (numbers - self._wanted)
            self._begun -= gone
            self._taken -= gone
            if gone:
                await self._let_go(gone)

    async def _take(self, numbers: frozenset[int]) -> None:
        self._begun |= numbers
        taking = self._taking = asyncio.create_task(self._insist(numbers))
        try:
            await asyncio.wait([taking])
        finally:
            taking.cancel()
            self._taking = None
        if not taking.cancelled():
            self._taken |= numbers

    async def _insist(self, numbers: frozenset[int]) -> None:
        """Nothing of these partitions can run before, so there is nothing else to do."""
        attempt = 1
        while numbers:
            try:
                await self._stage.take_over(numbers)
            except Exception as error:  # noqa: BLE001 whatever it is
                log.error(  # noqa: TRY400 a traceback could show content
                    "cannot take partitions over",
                    extra={"partitions": sorted(numbers), **facts_of(error)},
                )
                await self._clock.sleep(self._backoff.delay(error, attempt=attempt))
                attempt += 1
            else:
                return

    async def _let_go(self, numbers: frozenset[int]) -> None:
        try:
            await self._stage.release(numbers)
        except Exception as error:  # noqa: BLE001 the partitions are gone either way
            log.error(  # noqa: TRY400 a traceback could show content
                "release failed", extra={"partitions": sorted(numbers), **facts_of(error)}
            )
