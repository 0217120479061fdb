"""Reading partitions of one topic without a group, from any offset, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

import confluent_kafka

from forebay_kafka.errors import LogUnavailable
from forebay_kafka.polling import OnEnd, poll_batch, reader_options
from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import TopicSpec

POLL_SECONDS = 0.02  # how long a new partition waits for the thread; records end a poll at once
PROMPT_FETCH_MS = 50  # somebody waits for the first record of a partition that is new
BATCH = 500  # one hand-over to the event loop; 500 deltas are 100 KiB
HANDED_OVER = 4  # batches on their way to the loop before the thread waits for it
RETRY_SECONDS = 0.05  # an election takes tens of milliseconds
LOOK_UP_SECONDS = 5.0  # a broker that does not say its offsets by then is down
TURN_SECONDS = 1.0  # one partition without a leader holds up the look-ups of others no longer

log = logging.getLogger(__name__)

T = TypeVar("T")
OnRecords = Callable[[Sequence[Received]], None]


class LogTail:
    """Follows partitions and hands their records, in order, to a function on the event loop.

    `async with LogTail(…) as tail`; `on_records` runs in the loop in which it was entered. A
    reader that is slow there slows the thread, not the process's memory. `on_end` hears, behind
    all records in front of it, that a partition was read up to its end of the moment: compaction
    may have left nothing in front of that end.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        spec: TopicSpec,
        on_records: OnRecords,
        *,
        fetch_wait_ms: int = PROMPT_FETCH_MS,
        on_end: OnEnd | None = None,
    ) -> None:
        self._topic = spec.name
        self._on_records = on_records
        self._on_end = on_end
        self._consumer = confluent_kafka.Consumer(
            {
                **reader_options(settings, fetch_wait_ms),
                "enable.partition.eof": on_end is not None,
            }
        )
        # Look-ups block; a client of their own keeps them out of the reading thread's way.
        self._look_ups = confluent_kafka.Consumer(reader_options(settings, fetch_wait_ms))
        # A client does one look-up at a time, whoever asks: in a pool they would wait for each
        # other past any deadline, and hold the process's threads meanwhile.
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="forebay-look-up")
        # Assigning from another thread than the one that polls blocks both for ever.
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._room = threading.Semaphore(HANDED_OVER)

    async def __aenter__(self) -> Self:
        """Start the reading thread, with no partition yet."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="forebay-tail", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop both threads and close their clients."""
        self._closing.set()
        self._room.release()
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._consumer.close)
        await asyncio.to_thread(self._asking.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._look_ups.close)

    def follow(self, partition: int, offset: int) -> None:
        """Begin to read a partition at an offset."""
        begin = [confluent_kafka.TopicPartition(self._topic, partition, offset)]
        self._commands.put(lambda: self._consumer.incremental_assign(begin))

    def unfollow(self, partition: int) -> None:
        """Stop reading a partition; batches that are on their way still arrive."""
        end = [confluent_kafka.TopicPartition(self._topic, partition)]
        self._commands.put(lambda: self._consumer.incremental_unassign(end))

    async def end_offset(self, partition: int) -> int:
        """The offset behind the last record. Raises LogUnavailable."""
        return (await self._watermarks(partition))[1]

    async def offset_at(self, partition: int, timestamp_ms: int) -> int:
        """The offset of the first record at or after a time; the end's where there is none.

        Raises LogUnavailable.
        """
        # The end is asked first: a record that arrives in between lies behind it.
        low, end = await self._watermarks(partition)
        wanted = confluent_kafka.TopicPartition(self._topic, partition, timestamp_ms)

        def look_up() -> int | None:
            found = self._look_ups.offsets_for_times([wanted], timeout=TURN_SECONDS)[0]
            return None if found.error else found.offset

        found = await self._looked_up(look_up)
        return max(low, min(found, end)) if found >= 0 else end

    async def _watermarks(self, partition: int) -> tuple[int, int]:
        place = confluent_kafka.TopicPartition(self._topic, partition)
        return await self._looked_up(
            lambda: self._look_ups.get_watermark_offsets(place, timeout=TURN_SECONDS)
        )

    async def _looked_up(self, look_up: Callable[[], T | None]) -> T:
        """What the log says within LOOK_UP_SECONDS; a partition may be between two leaders."""
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                while True:
                    found = await self._in_turn(look_up)
                    if found is not None:
                        return found
                    await self._in_turn(self._refresh_metadata)
                    await asyncio.sleep(RETRY_SECONDS)
        except TimeoutError as error:
            raise LogUnavailable("the log does not tell its offsets") from error

    def _refresh_metadata(self) -> None:
        # Between two leaders the client learns that a partition is unknown. It believes that until
        # its next refresh, minutes later: look-ups ask nobody for it.
        self._look_ups.list_topics(self._topic, TURN_SECONDS)

    async def _in_turn(self, look_up: Callable[[], T | None]) -> T | None:
        try:
            return await self._loop.run_in_executor(self._asking, look_up)
        except confluent_kafka.KafkaException as error:
            log.info("looking offsets up: %s", error)
            return None

    def _run(self) -> None:
        try:
            self._read()
        except Exception:
            log.exception("the tail of %s ended; the process leaves", self._topic)
            # Whoever reads nothing serves nobody: a supervisor starts another process.
            os.kill(os.getpid(), signal.SIGTERM)

    def _read(self) -> None:
        while not self._closing.is_set():
            self._obey()
            ends: dict[int, int] = {}
            records = poll_batch(self._consumer, POLL_SECONDS, BATCH, ends.__setitem__)
            if records or ends:
                self._room.acquire()
                self._loop.call_soon_threadsafe(self._hand_over, records, ends)

    def _obey(self) -> None:
        while not self._commands.empty():
            try:
                self._commands.get()()
            except confluent_kafka.KafkaException as error:
                # Followed already, or not at all; the other partitions have done nothing wrong.
                log.warning("the tail of %s: %s", self._topic, error)

    def _hand_over(self, records: Sequence[Received], ends: Mapping[int, int]) -> None:
        self._room.release()
        if records:
            self._on_records(records)
        if self._on_end is not None:
            for partition, offset in ends.items():
                self._on_end(partition, offset)
