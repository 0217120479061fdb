"""A stage that does what a test says, and keeps a journal that tests wait on."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from google.protobuf.message import Message

from forebay.records.v1 import DocumentRecord, QueryRecord, Stage
from forebay_workers.record_loop.stage import Work

PATIENCE = 30.0  # seconds until a test that waits for what never happens fails


class Journal:
    """Wakes those who wait whenever something happened."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def note(self) -> None:
        self._changed.set()

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not met():
                self._changed.clear()
                # A loop's state changes without a word; `wait_for` may swallow a cancellation.
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self._changed.wait()


Script = Callable[[Work[Any]], Awaitable[None]]


class ScriptedStage(Journal):
    """Keeps the names of records as they start, end and are given up."""

    stage = Stage.STAGE_RETRIEVAL
    reads: tuple[type[Message], ...] = (QueryRecord,)

    def __init__(self, script: Script | None = None) -> None:
        super().__init__()
        self.script = script
        self.started: list[str] = []
        self.done: list[str] = []
        self.given_up: list[tuple[str, Exception]] = []
        self.ownership: list[tuple[str, frozenset[int]]] = []
        self.running = 0
        self.most_running = 0
        self.give_up_script: Script | None = None
        self.take_over_gate: asyncio.Event | None = None

    async def process(self, work: Work[Any]) -> None:
        self.started.append(name_of(work))
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        self.note()
        try:
            if self.script is not None:
                await self.script(work)
        finally:
            self.running -= 1
            self.note()
        self.done.append(name_of(work))
        self.note()

    async def give_up(self, work: Work[Any], error: Exception) -> None:
        if self.give_up_script is not None:
            await self.give_up_script(work)
        self.given_up.append((name_of(work), error))
        self.note()

    async def take_over(self, partitions: frozenset[int]) -> None:
        self.ownership.append(("take_over", partitions))
        self.note()
        if self.take_over_gate is not None:
            await self.take_over_gate.wait()

    async def release(self, partitions: frozenset[int]) -> None:
        self.ownership.append(("release", partitions))
        self.note()


class ScriptedDocuments(ScriptedStage):
    """The same for documents, which have a retry topic."""

    stage = Stage.STAGE_CHUNKING
    reads: tuple[type[Message], ...] = (DocumentRecord,)


def name_of(work: Work[Any]) -> str:
    """Of a query, or the id of a document."""
    return str(work.message.name).removeprefix("queries/").rpartition("/documents/")[2]


def lane_of(name: str) -> str:
    return name.rsplit("@", 1)[0]
