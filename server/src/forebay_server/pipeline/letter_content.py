"""What stands in dead letters, read from the log by their positions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from itertools import groupby
from typing import Self

from forebay.records.v1 import DeadLetter
from forebay_kafka.history import LogHistory
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import topic_of
from forebay_server.pipeline.letters import Letter

MAX_BATCH = 200
MAX_BATCH_BYTES = 16 * 1024 * 1024  # in memory at once, beside what a reader fetches ahead
MAX_GAP = 500  # records between two that are wanted; further apart, it is cheaper to seek

Found = tuple[Letter, DeadLetter]


class LetterContent:
    """Reads whole dead letters; `async with LetterContent(settings) as content`."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._history: LogHistory | None = None

    async def __aenter__(self) -> Self:
        """Nothing yet: most processes are never asked."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of the log."""
        await self._stack.aclose()

    async def read(
        self, letters: Iterable[Letter]
    ) -> AsyncIterator[tuple[Sequence[Letter], Sequence[Found]]]:
        """Batches of the letters, and of each those that the log still has, with their records.

        The order is that of the log's partitions. Raises LogUnavailable.
        """
        history = await self._open_history()
        for batch in _batches(letters):
            by_offset = {letter.place.offset: letter for letter in batch}
            records = await history.at(batch[0].place.partition, by_offset)
            found = [
                (by_offset[record.offset], DeadLetter.FromString(record.value))
                for record in records
                if record.value is not None
            ]
            yield batch, found

    async def _open_history(self) -> LogHistory:
        async with self._opening:
            if self._history is None:
                history = LogHistory(self._settings, topic_of(DeadLetter))
                self._history = await self._stack.enter_async_context(history)
            return self._history


def _batches(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    in_order = sorted(letters, key=lambda letter: (letter.place.partition, letter.place.offset))
    for _, of_partition in groupby(in_order, key=lambda letter: letter.place.partition):
        batch: list[Letter] = []
        size = 0
        for letter in of_partition:
            full = len(batch) >= MAX_BATCH or size + letter.size_bytes > MAX_BATCH_BYTES
            if batch and (full or letter.place.offset - batch[-1].place.offset > MAX_GAP):
                yield batch
                batch, size = [], 0
            batch.append(letter)
            size += letter.size_bytes
        yield batch
