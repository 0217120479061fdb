"""Reading a stretch of one partition once, for the few records of one key in it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import confluent_kafka

from forebay_kafka.errors import LogUnavailable
from forebay_kafka.polling import poll_batch, reader_options
from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import TopicSpec

READERS = 2  # stretches that are read side by side; further ones wait
BATCH = 1_000
STALL_SECONDS = 5.0  # a broker that sends nothing of what it has for so long is down


class LogHistory:
    """A few consumers that read stretches of a topic; `async with LogHistory(…) as history`."""

    def __init__(self, settings: KafkaSettings, spec: TopicSpec) -> None:
        self._topic = spec.name
        self._settings = settings
        self._idle: asyncio.Queue[confluent_kafka.Consumer] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        """Create the consumers; they connect when they are needed."""
        for _ in range(READERS):
            self._idle.put_nowait(confluent_kafka.Consumer(reader_options(self._settings)))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for reads that are under way and close the consumers."""
        for _ in range(READERS):
            consumer = await self._idle.get()
            await asyncio.to_thread(consumer.close)

    async def read(self, partition: int, start: int, end: int, key: bytes) -> Sequence[Received]:
        """The records of a key with start <= offset < end. Raises LogUnavailable."""
        if start >= end:
            return ()
        consumer = await self._idle.get()
        # A reader that is cancelled must not hand its consumer on while its thread still reads.
        reading = asyncio.ensure_future(
            asyncio.to_thread(self._read, consumer, partition, start, end, key)
        )
        reading.add_done_callback(lambda _: self._idle.put_nowait(consumer))
        return await asyncio.shield(reading)

    def _read(
        self, consumer: confluent_kafka.Consumer, partition: int, start: int, end: int, key: bytes
    ) -> Sequence[Received]:
        consumer.assign([confluent_kafka.TopicPartition(self._topic, partition, start)])
        try:
            return self._collect(consumer, start, end, key)
        finally:
            consumer.unassign()

    def _collect(
        self, consumer: confluent_kafka.Consumer, start: int, end: int, key: bytes
    ) -> Sequence[Received]:
        found: list[Received] = []
        position = start
        while position < end:
            batch = poll_batch(consumer, STALL_SECONDS, BATCH)
            if not batch:
                raise LogUnavailable("the log does not deliver its records")
            for record in batch:
                position = record.offset + 1
                if record.key == key and record.offset < end:
                    found.append(record)
        return found
