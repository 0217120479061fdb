"""What is no longer in memory, read from the log: one pass for all who want it at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from forebay_kafka.errors import LogUnavailable
from forebay_kafka.history import LogHistory
from forebay_kafka.records import Received
from forebay_kafka.tail import LogTail

Span = tuple[int, int]
"""From a time up to another, in milliseconds since 1970."""


@dataclass(eq=False)
class Wish:
    """One reader's wish: the records of a key in a span, below an offset."""

    key: bytes
    span: Span
    end: int
    found: asyncio.Future[Sequence[Received]]


class AnswerPast:
    """Reads the past of partitions for many readers.

    After a restart all readers of an edge come back at once. While one pass over a partition is
    under way, the wishes of those who come meanwhile gather; the next pass serves them together.
    """

    def __init__(self, tail: LogTail, history: LogHistory) -> None:
        self._tail = tail
        self._history = history
        self._wishes: dict[int, list[Wish]] = {}
        self._passes: dict[int, asyncio.Task[None]] = {}

    async def read(self, partition: int, key: bytes, span: Span, end: int) -> Sequence[Received]:
        """The records of a key that were logged in a span, with offset < end.

        Raises LogUnavailable.
        """
        wish = Wish(key, span, end, asyncio.get_running_loop().create_future())
        self._wishes.setdefault(partition, []).append(wish)
        if partition not in self._passes:
            self._passes[partition] = asyncio.create_task(self._serve(partition))
        return await wish.found

    async def _serve(self, partition: int) -> None:
        try:
            while wishes := self._wishes.pop(partition, []):
                for together in overlapping(wishes):
                    await self._pass(partition, together)
        finally:
            del self._passes[partition]

    async def _pass(self, partition: int, wishes: Sequence[Wish]) -> None:
        reading = asyncio.ensure_future(self._read(partition, wishes))
        answered = asyncio.ensure_future(asyncio.wait([wish.found for wish in wishes]))
        try:
            # Where all who wished have gone, nobody needs the rest.
            await asyncio.wait([reading, answered], return_when=asyncio.FIRST_COMPLETED)
        finally:
            answered.cancel()
            reading.cancel()
            await asyncio.wait([reading])
        error = None if reading.cancelled() else reading.exception()
        for wish in wishes:
            if error is not None and not wish.found.done():
                wish.found.set_exception(_again(error))

    async def _read(self, partition: int, wishes: Sequence[Wish]) -> None:
        start = await self._tail.offset_at(partition, min(wish.span[0] for wish in wishes))
        until = await self._tail.offset_at(partition, max(wish.span[1] for wish in wishes))
        end = min(until, max(wish.end for wish in wishes))
        records = await self._history.read(partition, start, end, *(wish.key for wish in wishes))
        by_key: dict[bytes, list[Received]] = {}
        for record in records:
            by_key.setdefault(record.key or b"", []).append(record)
        for wish in wishes:
            found = [each for each in by_key.get(wish.key, ()) if each.offset < wish.end]
            if not wish.found.done():
                wish.found.set_result(found)


def overlapping(wishes: Sequence[Wish]) -> list[list[Wish]]:
    """Wishes that are read together: those whose spans meet, so that nothing between is read."""
    groups: list[list[Wish]] = []
    until = 0
    for wish in sorted(wishes, key=lambda each: each.span):
        if not groups or wish.span[0] > until:
            groups.append([])
        groups[-1].append(wish)
        until = max(until, wish.span[1])
    return groups


def _again(error: BaseException) -> BaseException:
    # One for each: raised in several tasks, an exception would gather all of their traces.
    return LogUnavailable(str(error)) if isinstance(error, LogUnavailable) else error
