"""Reads the partitions of an output topic that lie beside the input partitions of a stage."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Self

from google.protobuf.message import Message

from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.tail import LogTail
from forebay_kafka.topics import topic_of

# Past the longest timeout of a query, and some for clocks that differ: what is older is expired.
LOOK_BACK_SECONDS = 12 * 60
# A partition that is new here waits for the fetch under way, and all its work with it.
FETCH_WAIT_MS = 200
CATCH_UP_SECONDS = 60.0  # then taking over is tried again from the start, and says so


class OutputTail:
    """Follows partitions from a while ago, and says when their past has been read.

    The same partition number of input and output holds the same queries. `on_record` sees every
    record, those of the past first.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        record: type[Message],
        on_record: Callable[[Received], None],
    ) -> None:
        self._tail = LogTail(settings, topic_of(record), self._take, fetch_wait_ms=FETCH_WAIT_MS)
        self._on_record = on_record
        self._positions: dict[int, int] = {}
        self._moved = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Start reading, with no partition yet."""
        await self._tail.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop reading."""
        await self._tail.__aexit__(None, None, None)

    async def take_over(self, partitions: frozenset[int]) -> None:
        """Read the past of partitions. Raises LogUnavailable or TimeoutError."""
        ends = {partition: await self._follow(partition) for partition in partitions}
        async with asyncio.timeout(CATCH_UP_SECONDS):
            while any(self._positions[partition] < end for partition, end in ends.items()):
                self._moved.clear()
                await self._moved.wait()

    async def release(self, partitions: frozenset[int]) -> None:
        """Stop reading partitions."""
        for partition in partitions & self._positions.keys():
            del self._positions[partition]
            self._tail.unfollow(partition)

    async def _follow(self, partition: int) -> int:
        # The end is asked after the stage owns the partition: what its former owner wrote up to
        # then is part of the past.
        if partition not in self._positions:
            since_ms = (time.time_ns() // 1_000_000) - LOOK_BACK_SECONDS * 1000
            start = await self._tail.offset_at(partition, since_ms)
            self._positions[partition] = start
            self._tail.follow(partition, start)
        return await self._tail.end_offset(partition)

    def _take(self, records: Sequence[Received]) -> None:
        for record in records:
            if record.offset >= self._positions.get(record.partition, record.offset + 1):
                self._positions[record.partition] = record.offset + 1
                self._on_record(record)
        self._moved.set()
