"""The one reader of answers in a process: it reads each partition once, for all followers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

from forebay.records.v1 import AnswerRecord
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.history import LogHistory
from forebay_kafka.partitioning import partition_for
from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.tail import LogTail
from forebay_kafka.topics import topic_of
from forebay_server.answers.follower import Follower
from forebay_server.answers.lifetime import LIFETIME_MS
from forebay_server.answers.past import AnswerPast
from forebay_server.answers.window import PartitionWindow

KEPT_MS = 150_000  # a query's usual minute, the margin below, and some time to resume
MAX_KEPT_BYTES = 128 * 1024 * 1024  # of one process; what is older is read again from the log
# A name's time may be a minute ahead of the edge's clock, and the broker's clock may differ.
MARGIN_MS = 90_000
CATCH_UP_SECONDS = 5.0  # a reader that is further behind than that has lost the broker
SWEEP_SECONDS = 5.0


class AnswerReader:
    """Follows answers and takes snapshots of them; `async with AnswerReader(…) as reader`.

    A partition is read from a little before its first follower came and for good, and its recent
    records are kept, so that most followers begin in memory. What is older comes from the log's
    history.
    """

    def __init__(self, settings: KafkaSettings, partition_count: int) -> None:
        self._count = partition_count
        self._tail = LogTail(settings, topic_of(AnswerRecord), self._take)
        self._history = LogHistory(settings, topic_of(AnswerRecord))
        self._past = AnswerPast(self._tail, self._history)
        self._windows: dict[int, PartitionWindow] = {}
        self._opening: dict[int, asyncio.Lock] = {}
        self._followers: dict[bytes, set[Follower]] = {}
        self._moved = asyncio.Event()  # of the next batch; each has its own

    async def __aenter__(self) -> Self:
        """Start reading."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._tail)
            await stack.enter_async_context(self._history)
            self._sweeping = asyncio.create_task(self._sweep())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop reading."""
        self._sweeping.cancel()
        await self._stack.aclose()

    @asynccontextmanager
    async def following(self, name: str, time_ms: int) -> AsyncIterator[Follower]:
        """The records of a query, those of the past first; `time_ms` is the time in its name.

        Raises LogUnavailable.
        """
        partition = partition_for(name, self._count)
        window = await self._window(partition)
        key, follower = name.encode(), Follower()
        # No await up to the registration: the kept records and the live ones join without a seam.
        kept, kept_from = window.of(key), window.start
        self._followers.setdefault(key, set()).add(follower)
        try:
            older = await self._older(window, partition, key, time_ms, kept_from)
            follower.begin_with((*older, *kept))
            yield follower
        finally:
            self._forget(key, follower)

    async def snapshot(self, name: str, time_ms: int, *, up_to: int = 0) -> Sequence[Received]:
        """The records that the log has of a query now, and at least up to an offset.

        Raises LogUnavailable.
        """
        await self.catch_up(name, up_to=up_to)
        partition, key = partition_for(name, self._count), name.encode()
        window = self._windows[partition]
        kept, kept_from = window.of(key), window.start
        return (*await self._older(window, partition, key, time_ms, kept_from), *kept)

    async def catch_up(self, name: str, *, up_to: int = 0) -> None:
        """Wait until a query's followers have what the log holds now. Raises LogUnavailable."""
        partition = partition_for(name, self._count)
        window = await self._window(partition)
        await self._reach(window, max(up_to, await self._tail.end_offset(partition)))

    async def _older(
        self, window: PartitionWindow, partition: int, key: bytes, time_ms: int, end: int
    ) -> Sequence[Received]:
        since_ms = time_ms - MARGIN_MS
        if since_ms >= window.since_ms:
            return ()
        return await self._past.read(partition, key, (since_ms, time_ms + LIFETIME_MS), end)

    async def _window(self, partition: int) -> PartitionWindow:
        window = self._windows.get(partition)
        if window is not None:
            return window
        async with self._opening.setdefault(partition, asyncio.Lock()):
            if partition not in self._windows:
                since_ms = _now_ms() - KEPT_MS
                start = await self._tail.offset_at(partition, since_ms)
                self._windows[partition] = PartitionWindow(start, since_ms)
                self._tail.follow(partition, start)
        return self._windows[partition]

    def _take(self, records: Sequence[Received]) -> None:
        for record in records:
            window = self._windows[record.partition]
            if record.offset < window.position:
                continue
            window.append(record)
            for follower in self._followers.get(record.key or b"", ()):
                follower.push(record)
        self._shed()
        self._moved.set()
        self._moved = asyncio.Event()

    async def _reach(self, window: PartitionWindow, end: int) -> None:
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                while window.position < end:
                    await self._moved.wait()
        except TimeoutError as error:
            raise LogUnavailable("the log does not deliver its records") from error

    def _forget(self, key: bytes, follower: Follower) -> None:
        followers = self._followers[key]
        followers.discard(follower)
        if not followers:
            del self._followers[key]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for window in self._windows.values():
                window.drop_before(_now_ms() - KEPT_MS)

    def _shed(self) -> None:
        while self._windows and sum(w.size for w in self._windows.values()) > MAX_KEPT_BYTES:
            max(self._windows.values(), key=lambda w: w.size).drop_oldest()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
