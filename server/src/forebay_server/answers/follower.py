"""One stream that follows one query: a bounded queue between the log's reader and the stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from forebay_kafka.records import Received
from forebay_server.answers.errors import ReaderTooSlow

MAX_QUEUED = 1_024  # half a minute of a fast model for a reader that has stopped taking
MAX_QUEUED_BYTES = 4 * 1024 * 1024  # 250 stopped readers take 1 GiB


class Follower:
    """Takes records from the reader at once and gives them to the stream one by one."""

    def __init__(self) -> None:
        self._past: list[Received] = []  # the next one last: a second deque takes 700 bytes
        self._queue: deque[Received] = deque()
        self._bytes = 0
        self._arrived: asyncio.Future[None] | None = None  # an Event holds a deque as well
        self._overrun = False

    def begin_with(self, past: Iterable[Received]) -> None:
        """Put what the log held before the first pushed record in front."""
        self._past = [*past][::-1]

    def push(self, record: Received) -> None:
        """Take a record in; never waits."""
        self._bytes += len(record.value or b"")
        # One record alone may be larger than the bound: nobody was slow to take it.
        is_over = self._queue and self._bytes > MAX_QUEUED_BYTES
        if len(self._queue) >= MAX_QUEUED or is_over:
            self._overrun = True
            self._queue.clear()
        if not self._overrun:
            self._queue.append(record)
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    @property
    def ready(self) -> bool:
        """Whether `next` returns without waiting."""
        return bool(self._past or self._queue)

    async def next(self) -> Received:
        """The next record, once there is one; may be cancelled without a loss.

        Raises ReaderTooSlow after an overrun.
        """
        if self._past:
            return self._past.pop()
        while not self._queue:
            if self._overrun:
                raise ReaderTooSlow
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived
        record = self._queue.popleft()
        self._bytes -= len(record.value or b"")
        return record
