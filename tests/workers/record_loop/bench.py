"""What a test works with: a log, a mint, and members of one group that run a stage."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

from google.protobuf.message import Message

from forebay.records.v1 import DeadLetter, DocumentRecord, QueryRecord
from forebay_kafka.group_membership import TopicPartition
from forebay_kafka.records import RecordReader
from forebay_kafka.topics import topic_of
from forebay_workers.record_loop.clock import Clock, SystemClock
from forebay_workers.record_loop.dead_letters import DeadLetters
from forebay_workers.record_loop.loop import RecordLoop
from forebay_workers.record_loop.retry_topic import RETRIES, RetryTopic
from forebay_workers.record_loop.settings import CommitPolicy, LoopSettings
from forebay_workers.record_loop.source import RecordSource

from .minting import Mint, Minted
from .scripted_stage import ScriptedStage

QUERIES = topic_of(QueryRecord).name
DOCUMENTS = topic_of(DocumentRecord).name
PROMPT = LoopSettings(commit=CommitPolicy(records=1_000, seconds=0.02))


class Log(Protocol):
    """What both logs can do."""

    partitions: int

    async def append(self, topic: str, partition: int, records: Sequence[Minted]) -> None: ...
    def member(self, group: str, topics: Sequence[str]) -> RecordSource: ...
    async def committed(self, group: str) -> dict[TopicPartition, int]: ...
    async def until_committed(self, group: str, offsets: Mapping[TopicPartition, int]) -> None: ...
    async def dead_letters(self, group: str) -> list[DeadLetter]: ...
    async def publish(self, message: Message, **arguments: Any) -> object: ...


class FastClock:
    """Waits pass at once, and time with them."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return asyncio.get_running_loop().time() + sum(self.slept)

    def wall_time(self) -> float:
        return SystemClock().wall_time() + sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class HandClock:
    """Time passes when a test says so, and never else."""

    def __init__(self) -> None:
        self.sleepers = 0
        self._began = SystemClock().wall_time()
        self._ahead = 0.0
        self._moved = asyncio.Condition()

    def now(self) -> float:
        return self._ahead

    def wall_time(self) -> float:
        return self._began + self._ahead

    async def sleep(self, seconds: float) -> None:
        end = self.now() + seconds
        self.sleepers += 1
        try:
            async with self._moved:
                await self._moved.wait_for(lambda: self.now() >= end)
        finally:
            self.sleepers -= 1

    async def advance(self, seconds: float) -> None:
        self._ahead += seconds
        async with self._moved:
            self._moved.notify_all()


class RunningMember:
    """A loop that runs."""

    def __init__(self, loop: RecordLoop, source: RecordSource) -> None:
        self.loop = loop
        self.source = source
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(loop.run(self.stop))

    async def drain(self) -> None:
        self.stop.set()
        await self.task

    async def crash(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


class Bench:
    """One group on one log."""

    def __init__(self, log: Log, mint: Mint, group: str) -> None:
        self.log = log
        self.mint = mint
        self.group = group
        self._members: list[RunningMember] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for member in self._members:
            await member.crash()

    def start(
        self,
        stage: ScriptedStage,
        settings: LoopSettings = PROMPT,
        clock: Clock | None = None,
    ) -> RunningMember:
        clock = clock or SystemClock()
        topics = [topic_of(record).name for record in stage.reads]
        retries = None
        if settings.retry.rounds:
            topics.append(RETRIES)
            retries = RetryTopic(self.log, stage.stage, self.group, clock.wall_time)
        source = self.log.member(self.group, topics)
        letters = DeadLetters(self.log, stage.stage, self.group, clock.wall_time)
        reader = RecordReader(self.mint.verifier)
        loop = RecordLoop(stage, source, reader, letters, settings, clock, retries)
        member = RunningMember(loop, source)
        self._members.append(member)
        return member

    async def queries(self, *names: str, partition: int = 0, **options: Any) -> None:
        records = [self.mint.query(name, **options) for name in names]
        await self.log.append(QUERIES, partition, records)

    async def records(self, *records: Minted, partition: int = 0) -> None:
        await self.log.append(QUERIES, partition, records)

    async def documents(self, *ids: str, partition: int = 0, **options: Any) -> None:
        records = [self.mint.document(each, **options) for each in ids]
        await self.log.append(DOCUMENTS, partition, records)

    async def until_committed(self, *offsets: int, topic: str = QUERIES) -> None:
        """One offset per partition from 0 on; 0 for one that has none."""
        wanted = {TopicPartition(topic, n): o for n, o in enumerate(offsets) if o}
        await self.log.until_committed(self.group, wanted)

    async def dead_letters(self) -> list[DeadLetter]:
        return await self.log.dead_letters(self.group)

    async def committed(self) -> dict[TopicPartition, int]:
        return await self.log.committed(self.group)
