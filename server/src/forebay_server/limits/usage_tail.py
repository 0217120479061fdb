"""The reader of what answers cost: every process follows the log's usage records of today."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Self

from forebay.records.v1 import UsageRecord
from forebay_kafka.errors import KafkaError, LogUnavailable
from forebay_kafka.records import Received, RecordReader
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.tail import LogTail
from forebay_kafka.topics import topic_of
from forebay_server.limits.usage_ledger import UsageLedger

MARGIN_SECONDS = 600.0  # a record's own time and the log's time for it are seconds apart
RETRY_SECONDS = 1.0
FETCH_WAIT_MS = 500  # nobody waits for a partition to be opened
SLICE = 10  # envelopes verified, at 200 µs, before other work has its turn
# Records that wait to be verified; each is a few kilobytes. Reading stops at the one and goes on
# at the other.
MOST_WAITING, FEW_WAITING = 4_000, 500

_log = logging.getLogger(__name__)


class UsageTail:
    """Keeps a UsageLedger as the log has it; `async with UsageTail(…) as tail`.

    It reads from the start of the day, so it needs no store and survives restarts. The ledger is
    complete once it has what the log held when this began.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        records: RecordReader,
        partition_count: int,
        ledger: UsageLedger,
    ) -> None:
        self._tail = LogTail(
            settings, topic_of(UsageRecord), self._take, fetch_wait_ms=FETCH_WAIT_MS
        )
        self._records = records
        self._count = partition_count
        self._ledger = ledger
        self._waiting: deque[Received] = deque()
        self._arrived = asyncio.Event()
        self._next: dict[int, int] = {}  # offsets that are expected from the log
        self._due: dict[int, int] = {}  # ends that the log had when this began
        self._held_back = False
        self._refused = 0

    async def __aenter__(self) -> Self:
        """Start reading; the log may come later."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._tail)
            self._tasks = [
                asyncio.create_task(run(), name=f"usage: {run.__name__}")
                for run in (self._open, self._fold)
            ]
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop reading."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def _open(self) -> None:
        for partition in range(self._count):
            start, end = await self._bounds(partition)
            self._next[partition] = start
            if start < end:
                self._due[partition] = end
            self._tail.follow(partition, start)
        self._settle()

    async def _bounds(self, partition: int) -> tuple[int, int]:
        since_ms = int((self._ledger.midnight() - MARGIN_SECONDS) * 1000)
        while True:
            try:
                start = await self._tail.offset_at(partition, since_ms)
                return start, await self._tail.end_offset(partition)
            except LogUnavailable as error:
                _log.warning("waiting for the log's usage records", extra={"error": str(error)})
                await asyncio.sleep(RETRY_SECONDS)

    def _take(self, records: Sequence[Received]) -> None:
        for record in records:
            # A partition that was held back begins again behind what had already been handed over.
            if record.offset >= self._next[record.partition]:
                self._next[record.partition] = record.offset + 1
                self._waiting.append(record)
        if len(self._waiting) > MOST_WAITING and not self._held_back:
            self._held_back = True
            for partition in self._next:
                self._tail.unfollow(partition)
        self._arrived.set()

    async def _fold(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                for _ in range(min(SLICE, len(self._waiting))):
                    self._charge(self._waiting.popleft())
                self._go_on()
                await asyncio.sleep(0)

    def _go_on(self) -> None:
        if self._held_back and len(self._waiting) < FEW_WAITING:
            self._held_back = False
            for partition, offset in self._next.items():
                self._tail.follow(partition, offset)

    def _charge(self, received: Received) -> None:
        try:
            verified = self._records.read(received)
        except KafkaError as error:
            self._refuse(received, error)
        else:
            if isinstance(verified.message, UsageRecord):
                self._ledger.charge(verified.envelope.identity.tenant, verified.message)
        if received.offset + 1 >= self._due.get(received.partition, math.inf):
            del self._due[received.partition]
            self._settle()

    def _refuse(self, received: Received, error: KafkaError) -> None:
        # Said at the 1st, 10th, 100th…: whoever can write the topic must not fill the log.
        self._refused += 1
        if self._refused == 10 ** (len(str(self._refused)) - 1):
            place = f"{received.partition}/{received.offset}"
            facts = {"error": str(error), "at": place, "up_to_now": self._refused}
            _log.warning("a usage record counts for nobody", extra=facts)

    def _settle(self) -> None:
        if len(self._next) == self._count and not self._due:
            self._ledger.complete()
