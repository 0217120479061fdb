import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import uuid4

import pytest

from forebay_kafka.group_consumer import GroupConsumer
from forebay_kafka.group_membership import GroupOptions, TopicPartition
from forebay_kafka.records import Received
from forebay_standalone.broker import KafkaBroker

from .kafka_log import KafkaLog
from .minting import Mint
from .scripted_stage import Journal


class Recorder(Journal):
    """A listener that keeps what it hears, and says of a revoked partition what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.assignments: list[frozenset[TopicPartition]] = []
        self.held: set[TopicPartition] = set()
        self.records: list[Received] = []
        self.to_commit: dict[TopicPartition, int] = {}
        self.error: Exception | None = None

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self.assignments.append(partitions)
        self.held |= partitions
        self.note()

    def received(self, records: Sequence[Received]) -> None:
        self.records += records
        self.note()

    async def revoked(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        self.held -= partitions
        return {name: self.to_commit[name] for name in partitions if name in self.to_commit}

    async def lost(self, partitions: frozenset[TopicPartition]) -> None:
        self.held -= partitions
        self.note()

    def failed(self, error: Exception) -> None:
        self.error = error
        self.note()


class Group:
    def __init__(self, log: KafkaLog, topic: str, options: GroupOptions) -> None:
        self.name = f"forebay.test-{uuid4()}"
        self.topic = topic
        self.partition = TopicPartition(topic, 0)
        self._log = log
        self._options = options
        self._members: list[GroupConsumer] = []

    async def join(self) -> tuple[GroupConsumer, Recorder]:
        recorder = Recorder()
        member = GroupConsumer(self._log.settings, self.name, [self.topic], self._options)
        member.start(recorder)
        self._members.append(member)
        await recorder.until(lambda: recorder.assignments != [])
        return member, recorder

    async def leave(self) -> None:
        for member in self._members:
            await member.close()


@pytest.fixture(params=["classic", "consumer"])
async def group(kafka_log: KafkaLog, request: pytest.FixtureRequest) -> AsyncIterator[Group]:
    topic = f"forebay.test-{uuid4()}"
    await asyncio.to_thread(kafka_log.create_topic, topic, 1)
    group = Group(kafka_log, topic, GroupOptions(protocol=request.param))
    yield group
    await group.leave()


async def test_records_arrive_in_order_with_key_value_headers_and_time(
    group: Group, kafka_log: KafkaLog, mint: Mint
) -> None:
    _, recorder = await group.join()
    records = [mint.query(f"a-{n}") for n in range(250)]
    await kafka_log.append(group.topic, 0, records)
    await recorder.until(lambda: len(recorder.records) == 250)
    assert [r.offset for r in recorder.records] == list(range(250))
    assert [(r.key, r.value, r.headers) for r in recorder.records] == [
        (r.key, r.value, r.headers) for r in records
    ]
    assert recorder.records[0].timestamp_ms > 1_700_000_000_000


async def test_a_committed_offset_is_where_the_next_member_begins(
    group: Group, kafka_log: KafkaLog, mint: Mint
) -> None:
    first, recorder = await group.join()
    await kafka_log.append(group.topic, 0, [mint.query(f"a-{n}") for n in range(10)])
    await recorder.until(lambda: len(recorder.records) == 10)
    first.commit({group.partition: 4})
    recorder.to_commit = {group.partition: 7}
    await first.close()
    assert recorder.held == set()

    _, second = await group.join()
    await second.until(lambda: len(second.records) == 3)
    assert [r.offset for r in second.records] == [7, 8, 9]


async def test_a_paused_partition_delivers_nothing_until_it_is_resumed(
    group: Group, kafka_log: KafkaLog, mint: Mint
) -> None:
    async def obeyed(marker: int) -> None:
        """A commit passes through the same queue, and a poll is between two of them."""
        member.commit({group.partition: marker})
        async with asyncio.timeout(30):
            while await asyncio.to_thread(kafka_log.offsets, group.name) != {
                group.partition: marker
            }:
                pass

    member, recorder = await group.join()
    member.pause([group.partition, TopicPartition("nobody's", 3)])
    await obeyed(0)
    await kafka_log.append(group.topic, 0, [mint.query("a-0")])
    await obeyed(1)
    assert recorder.records == []
    member.resume([group.partition])
    await recorder.until(lambda: len(recorder.records) == 1)


@pytest.mark.parametrize("group", ["classic"], indirect=True)
async def test_a_member_without_partitions_leaves_its_group_at_once(
    group: Group, kafka_log: KafkaLog
) -> None:
    (one, first), (two, second) = await group.join(), await group.join()
    assert first.held | second.held == {group.partition}
    idle = two if first.held else one
    await idle.close()
    assert await asyncio.to_thread(kafka_log.members, group.name) == 1


@pytest.mark.parametrize("group", ["classic"], indirect=True)
async def test_a_pause_ends_with_the_assignment_that_it_was_for(
    group: Group, kafka_log: KafkaLog, mint: Mint
) -> None:
    group.topic = f"forebay.test-{uuid4()}"
    await asyncio.to_thread(kafka_log.create_topic, group.topic, 2)
    both = {TopicPartition(group.topic, 0), TopicPartition(group.topic, 1)}
    first, recorder = await group.join()
    await recorder.until(lambda: recorder.held == both)
    first.pause(both)
    second, other = await group.join()
    await other.until(lambda: len(other.held) == 1)
    (moved,) = other.held
    await second.close()
    await recorder.until(lambda: recorder.held == both)
    for partition in (0, 1):
        await kafka_log.append(group.topic, partition, [mint.query("a-0")])
    await recorder.until(lambda: recorder.records != [])
    assert [record.partition for record in recorder.records] == [moved.partition]


async def test_a_broker_that_does_not_answer_holds_up_the_leaving_for_seconds_only(
    group: Group, broker: KafkaBroker
) -> None:
    member, _ = await group.join()
    broker.suspend()
    try:
        began = asyncio.get_running_loop().time()
        await member.close()
        assert asyncio.get_running_loop().time() - began < 16
    finally:
        broker.resume()
