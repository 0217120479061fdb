"""Reading a stretch of one partition once, for the few records in it that are wanted."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Self

import confluent_kafka

from forebay_kafka.errors import LogUnavailable
from forebay_kafka.polling import poll_messages, reader_options, received
from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import TopicSpec

FETCH_WAIT_MS = 50  # each stretch begins with a partition that is new to its reader
READERS = 2  # stretches that are read side by side; further ones wait
BATCH = 1_000
STALL_SECONDS = 5.0  # a broker that sends nothing of what it has for so long is down
POLL_SECONDS = 0.1  # how long a reading goes on that nobody waits for; records end a poll at once


class LogHistory:
    """A few consumers that read stretches of a topic; `async with LogHistory(…) as history`."""

    def __init__(self, settings: KafkaSettings, spec: TopicSpec) -> None:
        self._topic = spec.name
        self._settings = settings
        self._idle: asyncio.Queue[confluent_kafka.Consumer] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        """Create the consumers; they connect when they are needed."""
        for _ in range(READERS):
            self._idle.put_nowait(
                confluent_kafka.Consumer(reader_options(self._settings, FETCH_WAIT_MS))
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait for reads that are under way and close the consumers."""
        for _reader in range(READERS):
            consumer = await self._idle.get()
            await asyncio.to_thread(consumer.close)

    async def read(self, partition: int, start: int, end: int, *keys: bytes) -> Sequence[Received]:
        """The records of some keys with start <= offset < end. Raises LogUnavailable."""
        if start >= end:
            return ()
        wanted = frozenset(keys)
        return await self._collected(_Stretch(partition, start, end, lambda m: m.key() in wanted))

    async def at(self, partition: int, offsets: Collection[int]) -> Sequence[Received]:
        """The records that stand at offsets, as far as they still do. Raises LogUnavailable.

        Everything in between is read too.
        """
        wanted = frozenset(offsets)
        if not wanted:
            return ()
        return await self._collected(
            _Stretch(partition, min(wanted), max(wanted) + 1, lambda m: m.offset() in wanted)
        )

    async def _collected(self, stretch: _Stretch) -> Sequence[Received]:
        consumer = await self._idle.get()
        left = threading.Event()
        # A reader that is cancelled must not hand its consumer on while its thread still reads.
        reading = asyncio.ensure_future(asyncio.to_thread(self._read, consumer, stretch, left))
        reading.add_done_callback(lambda _: self._idle.put_nowait(consumer))
        try:
            return await asyncio.shield(reading)
        finally:
            left.set()

    def _read(
        self, consumer: confluent_kafka.Consumer, stretch: _Stretch, left: threading.Event
    ) -> Sequence[Received]:
        start = confluent_kafka.TopicPartition(self._topic, stretch.partition, stretch.start)
        consumer.assign([start])
        try:
            return _collect(consumer, stretch, left)
        finally:
            consumer.unassign()


@dataclass(frozen=True)
class _Stretch:
    partition: int
    start: int
    end: int
    wanted: Callable[[confluent_kafka.Message], bool]


def _collect(
    consumer: confluent_kafka.Consumer, stretch: _Stretch, left: threading.Event
) -> Sequence[Received]:
    found: list[Received] = []
    position, moved = stretch.start, time.monotonic()
    while position < stretch.end and not left.is_set():
        for message in poll_messages(consumer, POLL_SECONDS, BATCH):
            position, moved = _offset(message) + 1, time.monotonic()
            if position <= stretch.end and stretch.wanted(message):
                found.append(received(message))
        if time.monotonic() - moved > STALL_SECONDS:
            raise LogUnavailable("the log does not deliver its records")
    return found


def _offset(message: confluent_kafka.Message) -> int:
    offset = message.offset()
    if offset is None:
        raise RuntimeError("a consumed record without a position")
    return offset
