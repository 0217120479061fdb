"""A log in memory with consumer groups: what the record loop sees of Kafka, and nothing more."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from google.protobuf.message import Message

from forebay.records.v1 import DeadLetter
from forebay_kafka.errors import LogUnavailable, RecordTooLarge
from forebay_kafka.group_membership import GroupListener, TopicPartition
from forebay_kafka.partitioning import partition_for
from forebay_kafka.records import Received
from forebay_kafka.settings import MAX_RECORD_BYTES
from forebay_kafka.topics import topic_of

from .minting import Minted
from .scripted_stage import Journal

BATCH = 100


class MemoryLog(Journal):
    """Topics, groups and their members in one event loop."""

    def __init__(self, partitions: int) -> None:
        super().__init__()
        self.partitions = partitions
        self.available = True
        self.failed_writes = 0
        self._records: dict[TopicPartition, list[Received]] = defaultdict(list)
        self._groups: dict[str, MemoryGroup] = {}
        self._letters: list[DeadLetter] = []

    async def append(self, topic: str, partition: int, records: Sequence[Minted]) -> None:
        log = self._records[TopicPartition(topic, partition)]
        for each in records:
            now_ms = time.time_ns() // 1_000_000
            place = (topic, partition, len(log), now_ms)
            log.append(Received(*place, each.key, each.value, each.headers))
        self.wake()

    def member(self, group: str, topics: Sequence[str]) -> "MemoryMember":
        return MemoryMember(self, self._group(group, topics))

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        return dict(self._groups[group].committed)

    async def until_committed(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        topics = {name.topic for name in offsets}

        def committed() -> dict[TopicPartition, int]:
            found = self._groups[group].committed
            return {name: offset for name, offset in found.items() if name.topic in topics}

        await self.until(lambda: committed() == offsets)

    async def dead_letters(self, group: str) -> list[DeadLetter]:
        return [letter for letter in self._letters if letter.group == group]

    async def publish(
        self,
        message: Message,
        *,
        key: str,
        partition_key: str | None = None,
        identity_token: bytes,
        trace_parent: bytes | None = None,
    ) -> object:
        if not self.available:
            self.failed_writes += 1
            self.note()
            raise LogUnavailable("the log is away")
        value = message.SerializeToString()
        if len(value) + len(identity_token) > MAX_RECORD_BYTES - 1024:
            raise RecordTooLarge("the record is too large")
        if isinstance(message, DeadLetter):
            self._letters.append(message)
            self.note()
        else:
            await self.append(
                topic_of(message).name,
                partition_for(partition_key or key, self.partitions),
                [Minted(key.encode(), value, ())],
            )
        return object()

    def come_back(self) -> None:
        self.available = True

    def wake(self) -> None:
        self.note()
        for group in self._groups.values():
            for member in group.members:
                member.arrived.set()

    def read(self, name: TopicPartition, offset: int, most: int) -> list[Received]:
        return self._records[name][offset : offset + most]

    def everything(self, topic: str, partition: int) -> list[Received]:
        return self._records[TopicPartition(topic, partition)]

    def _group(self, group: str, topics: Sequence[str]) -> "MemoryGroup":
        names = [TopicPartition(t, p) for t in topics for p in range(self.partitions)]
        return self._groups.setdefault(group, MemoryGroup(names))


class MemoryGroup:
    """Who reads which partition, and how far the group came."""

    def __init__(self, names: list[TopicPartition]) -> None:
        self.committed: dict[TopicPartition, int] = {}
        self.members: list[MemoryMember] = []
        self._names = names
        self._turn = asyncio.Lock()

    async def join(self, member: "MemoryMember") -> None:
        async with self._turn:
            self.members.append(member)
            await self._rebalance()

    async def leave(self, member: "MemoryMember") -> None:
        async with self._turn:
            self.members.remove(member)
            await member.revoke(frozenset(member.positions))
            await self._rebalance()

    async def expel(self, member: "MemoryMember") -> None:
        async with self._turn:
            self.members.remove(member)
            gone = frozenset(member.positions)
            member.positions.clear()
            await self._rebalance()
            await member.listener.lost(gone)

    async def _rebalance(self) -> None:
        """As cooperative-sticky does: first take away what is too much, then give."""
        if not self.members:
            return
        share = -(-len(self._names) // len(self.members))
        for member in self.members:
            await member.revoke(frozenset(sorted(member.positions)[share:]))
        owned = {name for member in self.members for name in member.positions}
        free = [name for name in self._names if name not in owned]
        for member in self.members:
            count = max(0, share - len(member.positions))
            member.assign(frozenset(free[:count]))
            free = free[count:]


class MemoryMember:
    """A record source, as GroupConsumer is one."""

    def __init__(self, log: MemoryLog, group: MemoryGroup) -> None:
        self.arrived = asyncio.Event()
        self.positions: dict[TopicPartition, int] = {}
        self._log = log
        self._group = group
        self._paused: set[TopicPartition] = set()

    def start(self, listener: GroupListener) -> None:
        self.listener = listener
        self._task = asyncio.create_task(self._fetch())

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused |= set(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused -= set(partitions)
        self.arrived.set()

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._group.committed |= {n: o for n, o in offsets.items() if n in self.positions}
        self._log.note()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        if self in self._group.members:
            await self._group.leave(self)

    async def lose_everything(self) -> None:
        await self._group.expel(self)

    def assign(self, partitions: frozenset[TopicPartition]) -> None:
        self.positions |= {name: self._group.committed.get(name, 0) for name in partitions}
        self._paused -= partitions
        self.listener.assigned(partitions)
        self.arrived.set()

    async def revoke(self, partitions: frozenset[TopicPartition]) -> None:
        if partitions:
            self.commit(await self.listener.revoked(partitions))
        for name in partitions:
            del self.positions[name]

    async def _fetch(self) -> None:
        await self._group.join(self)
        while await self.arrived.wait():
            self.arrived.clear()
            for name in list(self.positions):
                batch = self._log.read(name, self.positions[name], BATCH)
                if batch and name not in self._paused:
                    self.positions[name] += len(batch)
                    self.listener.received(batch)
                    self.arrived.set()
            await asyncio.sleep(0)
