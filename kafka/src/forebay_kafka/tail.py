"""Reading partitions of one topic without a group, from any offset, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import confluent_kafka

from forebay_kafka.errors import LogUnavailable
from forebay_kafka.polling import poll_batch, reader_options
from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import TopicSpec

POLL_SECONDS = 0.2  # how long close() may wait for the thread; records end a poll at once
BATCH = 500  # one hand-over to the event loop; 500 deltas are 100 KiB
HANDED_OVER = 4  # batches on their way to the loop before the thread waits for it
LOOK_UP_SECONDS = 5.0  # a broker that does not say its offsets by then is down

OnRecords = Callable[[Sequence[Received]], None]


class LogTail:
    """Follows partitions and hands their records, in order, to a function on the event loop.

    `async with LogTail(…) as tail`; `on_records` runs in the loop in which it was entered. A
    reader that is slow there slows the thread, not the process's memory.
    """

    def __init__(self, settings: KafkaSettings, spec: TopicSpec, on_records: OnRecords) -> None:
        self._topic = spec.name
        self._on_records = on_records
        self._consumer = confluent_kafka.Consumer(reader_options(settings))
        # Look-ups block; a client of their own keeps them out of the reading thread's way.
        self._look_ups = confluent_kafka.Consumer(reader_options(settings))
        self._closing = threading.Event()
        self._room = threading.Semaphore(HANDED_OVER)

    async def __aenter__(self) -> Self:
        """Start the reading thread, with no partition yet."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._read, name="forebay-tail", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the thread and close both clients."""
        self._closing.set()
        self._room.release()
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._consumer.close)
        await asyncio.to_thread(self._look_ups.close)

    async def follow(self, partition: int, offset: int) -> None:
        """Begin to read a partition at an offset."""
        begin = [confluent_kafka.TopicPartition(self._topic, partition, offset)]
        await asyncio.to_thread(self._consumer.incremental_assign, begin)

    async def unfollow(self, partition: int) -> None:
        """Stop reading a partition; batches that are on their way still arrive."""
        end = [confluent_kafka.TopicPartition(self._topic, partition)]
        await asyncio.to_thread(self._consumer.incremental_unassign, end)

    async def end_offset(self, partition: int) -> int:
        """The offset behind the last record. Raises LogUnavailable."""
        return (await asyncio.to_thread(self._watermarks, partition))[1]

    async def offset_at(self, partition: int, timestamp_ms: int) -> int:
        """The offset of the first record at or after a time; the end's where there is none."""
        # The end is asked first: a record that arrives in between lies behind it.
        low, end = await asyncio.to_thread(self._watermarks, partition)
        wanted = confluent_kafka.TopicPartition(self._topic, partition, timestamp_ms)
        found = await asyncio.to_thread(self._offset_for_time, wanted)
        return max(low, min(found, end)) if found >= 0 else end

    def _watermarks(self, partition: int) -> tuple[int, int]:
        try:
            marks = self._look_ups.get_watermark_offsets(
                confluent_kafka.TopicPartition(self._topic, partition), timeout=LOOK_UP_SECONDS
            )
        except confluent_kafka.KafkaException as error:
            raise LogUnavailable("the log does not tell its offsets") from error
        if marks is None:
            raise LogUnavailable("the log does not tell its offsets in time")
        return marks

    def _offset_for_time(self, wanted: confluent_kafka.TopicPartition) -> int:
        try:
            found = self._look_ups.offsets_for_times([wanted], timeout=LOOK_UP_SECONDS)[0]
        except confluent_kafka.KafkaException as error:
            raise LogUnavailable("the log does not tell its offsets") from error
        if found.error is not None:
            raise LogUnavailable("the log does not tell its offsets")
        return found.offset

    def _read(self) -> None:
        while not self._closing.is_set():
            records = poll_batch(self._consumer, POLL_SECONDS, BATCH)
            if records:
                self._room.acquire()
                self._loop.call_soon_threadsafe(self._hand_over, records)

    def _hand_over(self, records: Sequence[Received]) -> None:
        self._room.release()
        self._on_records(records)
