"""All dead letters that the log has, without their content."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Self

from forebay.records.v1 import DeadLetter, Stage
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.tail import LogTail
from forebay_kafka.topics import topic_of
from forebay_server.clock import Clock, system_clock
from forebay_server.pipeline.letters import Letter, LetterInvalid, LetterPlace, letter_of

MAX_LETTERS = 200_000  # about 200 MB
STALL_SECONDS = 5.0  # a log that delivers nothing for so long, though it has more, is away
RETENTION = topic_of(DeadLetter).retention

log = logging.getLogger(__name__)


class LetterIndex:
    """Keeps the dead letters of a process; `async with LetterIndex(…) as index`.

    It reads the whole topic when it is first asked, and follows it from then on. It holds the
    newest MAX_LETTERS; older ones stay in the log and count nowhere.
    """

    def __init__(
        self, settings: KafkaSettings, publisher: Publisher, clock: Clock = system_clock
    ) -> None:
        self._settings = settings
        self._publisher = publisher
        self._clock = clock
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._tail: LogTail | None = None
        self._positions: dict[int, int] = {}  # of partitions: the offset up to which all is known
        self._by_key: dict[str, Letter] = {}
        self._order: list[tuple[LetterPlace, str]] = []  # the oldest first
        self._counts: Counter[tuple[Stage.ValueType, str]] = Counter()
        self._moved = asyncio.Event()  # of the next batch; each has its own
        self._overflowed = False

    async def __aenter__(self) -> Self:
        """Nothing yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop following."""
        await self._stack.aclose()

    async def catch_up(self) -> None:
        """Wait until everything is known that the log has now. Raises LogUnavailable."""
        tail = await self._open_tail()
        for partition in list(self._positions):
            await self._reach(partition, await tail.end_offset(partition))
        self._forget_expired()

    def get(self, name: str) -> Letter | None:
        """The letter of that name, if the index has it."""
        return self._by_key.get(name.partition("/")[2].replace("~", "/"))

    def newest_first(self, behind: LetterPlace | None = None) -> Iterator[Letter]:
        """The letters of this moment, those behind a place alone."""
        end = len(self._order) if behind is None else bisect_left(self._order, (behind, ""))
        # A copy: others may come and go while a caller lets the event loop run.
        return (self._by_key[key] for _, key in reversed(self._order[:end]) if key in self._by_key)

    def oldest_first(self) -> Iterator[Letter]:
        """The letters of this moment."""
        return (self._by_key[key] for _, key in list(self._order) if key in self._by_key)

    def count(self, stage: Stage.ValueType) -> int:
        """How many letters a stage has."""
        return sum(count for (of, _), count in self._counts.items() if of == stage)

    @property
    def counts(self) -> Mapping[tuple[Stage.ValueType, str], int]:
        """How many letters there are, by stage and reason."""
        return self._counts

    async def _open_tail(self) -> LogTail:
        async with self._opening:
            if self._tail is None:
                count = await self._publisher.partition_count(DeadLetter)
                tail = LogTail(self._settings, topic_of(DeadLetter), self._take, on_end=self._ended)
                self._tail = await self._stack.enter_async_context(tail)
                for partition in range(count):
                    self._positions[partition] = 0
                    self._tail.follow(partition, 0)
            return self._tail

    async def _reach(self, partition: int, end: int) -> None:
        while self._positions[partition] < end:
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    await self._moved.wait()
            except TimeoutError as error:
                raise LogUnavailable("the log does not deliver its records") from error

    def _take(self, records: Sequence[Received]) -> None:
        for record in records:
            self._positions[record.partition] = record.offset + 1
            if record.value is None:
                self._remove((record.key or b"").decode(errors="replace"))
            else:
                self._add(record)
        self._wake()

    def _ended(self, partition: int, offset: int) -> None:
        self._positions[partition] = max(offset, self._positions[partition])
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def _add(self, record: Received) -> None:
        try:
            letter = letter_of(record)
        except LetterInvalid as error:
            log.warning("no dead letter at %d/%d: %s", record.partition, record.offset, error)
            return
        self._remove(letter.key)
        self._by_key[letter.key] = letter
        insort(self._order, (letter.place, letter.key))
        self._counts[letter.stage, letter.reason] += 1
        while len(self._order) > MAX_LETTERS:
            self._remove(self._order[0][1])
            if not self._overflowed:
                self._overflowed = True
                log.warning("dead letters beyond the newest %d are not shown", MAX_LETTERS)

    def _remove(self, key: str) -> None:
        letter = self._by_key.pop(key, None)
        if letter is None:
            return
        del self._order[bisect_left(self._order, (letter.place, key))]
        counted = (letter.stage, letter.reason)
        self._counts[counted] -= 1
        if not self._counts[counted]:
            del self._counts[counted]

    def _forget_expired(self) -> None:
        """Let go of what the log has dropped by its age."""
        if RETENTION is None:
            return
        oldest_ms = int((self._clock() - RETENTION.total_seconds()) * 1000)
        while self._order and self._order[0][0].give_up_ms < oldest_ms:
            self._remove(self._order[0][1])
