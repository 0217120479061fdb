import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from uuid import uuid4

import confluent_kafka
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
        self.lost_partitions: list[set[TopicPartition]] = []
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
        self.note()
        return {name: self.to_commit[name] for name in partitions if name in self.to_commit}

    async def lost(self, partitions: frozenset[TopicPartition]) -> None:
        self.held -= partitions
        self.lost_partitions.append(set(partitions))
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
        self.options = options
        self._members: list[GroupConsumer] = []

    async def join(self) -> tuple[GroupConsumer, Recorder]:
        member, recorder = self.begin_to_join()
        await recorder.until(lambda: recorder.assignments != [])
        return member, recorder

    def begin_to_join(self) -> tuple[GroupConsumer, Recorder]:
        recorder = Recorder()
        member = GroupConsumer(self._log.settings, self.name, [self.topic], self.options)
        member.start(recorder)
        self._members.append(member)
        return member, recorder

    async def leave(self) -> None:
        for member in self._members:
            await member.close()


async def until_committed(log: KafkaLog, group: Group, offset: int) -> None:
    async with asyncio.timeout(30):
        while await asyncio.to_thread(log.offsets, group.name) != {group.partition: offset}:
            pass


async def until_members(log: KafkaLog, group: Group, count: int) -> None:
    async with asyncio.timeout(30):
        while await asyncio.to_thread(log.members, group.name) != count:
            pass


@pytest.fixture(
    params=["classic", pytest.param("consumer", marks=pytest.mark.slow_faults, id="consumer")]
)
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
    records = [mint.query(f"a@{n}") for n in range(250)]
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
    await kafka_log.append(group.topic, 0, [mint.query(f"a@{n}") for n in range(10)])
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
        await until_committed(kafka_log, group, marker)

    member, recorder = await group.join()
    member.pause([group.partition, TopicPartition("nobody's", 3)])
    await obeyed(0)
    await kafka_log.append(group.topic, 0, [mint.query("a@0")])
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
        await kafka_log.append(group.topic, partition, [mint.query("a@0")])
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


async def test_a_partition_that_is_not_fetched_any_more_makes_the_member_start_over(
    group: Group, kafka_log: KafkaLog, mint: Mint, caplog: pytest.LogCaptureFixture
) -> None:
    group.options = replace(group.options, stall_seconds=2.0)
    member, recorder = await group.join()
    await kafka_log.append(group.topic, 0, [mint.query("a@0"), mint.query("a@1")])
    await recorder.until(lambda: len(recorder.records) == 2)
    member.commit({group.partition: 1})
    # The client stops to fetch, and the member does not know.
    paused = [confluent_kafka.TopicPartition(group.topic, 0)]
    member._commands.put(lambda consumer: consumer.pause(paused))
    await asyncio.sleep(0.5)  # what was fetched ahead is dropped at the next poll
    await kafka_log.append(group.topic, 0, [mint.query("a@2")])
    await recorder.until(lambda: len(recorder.records) >= 4)
    assert [record.offset for record in recorder.records] == [0, 1, 1, 2]
    assert recorder.lost_partitions == [{group.partition}]
    (line,) = [each for each in caplog.records if "does not move" in each.message]
    facts = line.__dict__
    assert (facts["partition"], facts["position"], facts["end"]) == (0, 2, 3)
    member.commit({group.partition: 3})
    await until_committed(kafka_log, group, 3)


async def test_a_member_that_never_got_a_record_that_is_there_starts_over_too(
    group: Group, kafka_log: KafkaLog, mint: Mint
) -> None:
    group.options = replace(group.options, stall_seconds=2.0)
    member, recorder = await group.join()
    paused = [confluent_kafka.TopicPartition(group.topic, 0)]
    member._commands.put(lambda consumer: consumer.pause(paused))
    await asyncio.sleep(0.5)
    await kafka_log.append(group.topic, 0, [mint.query("a@0")])
    await recorder.until(lambda: len(recorder.records) == 1)
    assert recorder.lost_partitions == [{group.partition}]


@pytest.mark.parametrize("group", ["classic"], indirect=True)
async def test_a_member_that_its_group_has_forgotten_joins_anew(
    group: Group, kafka_log: KafkaLog, mint: Mint, caplog: pytest.LogCaptureFixture
) -> None:
    group.options = replace(group.options, stall_seconds=2.0)
    member, recorder = await group.join()
    # The client gives everything back and never asks for a share again.
    member._commands.put(lambda consumer: consumer.unsubscribe())
    await recorder.until(lambda: not recorder.held)
    await kafka_log.append(group.topic, 0, [mint.query("a@0")])
    await recorder.until(lambda: len(recorder.records) == 1)
    assert ["has forgotten" in each.message for each in caplog.records].count(True) == 1


async def test_a_member_that_lost_its_share_and_gets_none_is_left_alone(
    group: Group, kafka_log: KafkaLog, caplog: pytest.LogCaptureFixture
) -> None:
    spare, first = await group.join()
    _, second = group.begin_to_join()
    await until_members(kafka_log, group, 2)
    spare._commands.put(lambda consumer: consumer.unsubscribe())
    await second.until(lambda: second.held == {group.partition})
    spare._commands.put(spare._subscribe)
    await until_members(kafka_log, group, 2)
    if group.options.protocol == "classic":  # the other one has no word for a share of none
        await first.until(lambda: first.assignments[-1] == frozenset())
    spare._stall_seconds = 0.4
    await asyncio.sleep(2.0)  # five times as long
    assert (first.held, second.held) == (set(), {group.partition})
    assert not any("joins its group anew" in each.message for each in caplog.records)


async def test_partitions_that_stand_for_a_good_reason_are_left_alone(
    group: Group, kafka_log: KafkaLog, mint: Mint
) -> None:
    group.options = replace(group.options, stall_seconds=0.4)
    member, recorder = await group.join()
    await kafka_log.append(group.topic, 0, [mint.query("a@0")])
    await recorder.until(lambda: len(recorder.records) == 1)
    await asyncio.sleep(1.5)  # nothing more to read
    member.pause([group.partition])
    await kafka_log.append(group.topic, 0, [mint.query("a@1")])
    await asyncio.sleep(1.5)  # the listener wants none
    member.resume([group.partition])
    await recorder.until(lambda: len(recorder.records) == 2)
    assert recorder.lost_partitions == []


async def test_a_commit_that_is_never_answered_does_not_end_all_commits(
    group: Group, kafka_log: KafkaLog, mint: Mint
) -> None:
    member, recorder = await group.join()
    await kafka_log.append(group.topic, 0, [mint.query("a@0"), mint.query("a@1")])
    await recorder.until(lambda: len(recorder.records) == 2)

    def lose_the_answer(consumer: confluent_kafka.Consumer) -> None:
        commits = member._commits
        commits._asked = {group.partition: 1}
        commits._asking = dict(member._assigned)
        commits._lost_after = 0.0

    member._commands.put(lose_the_answer)
    await until_committed(kafka_log, group, 1)
    member.commit({group.partition: 2})
    await until_committed(kafka_log, group, 2)


async def test_a_static_member_that_is_back_in_time_causes_no_rebalance(
    group: Group, kafka_log: KafkaLog
) -> None:
    group.topic = f"forebay.test-{uuid4()}"
    await asyncio.to_thread(kafka_log.create_topic, group.topic, 2)
    base = group.options
    group.options = replace(base, instance_id="worker-1")
    first, one = await group.join()
    group.options = replace(base, instance_id="worker-2")
    _, two = await group.join()
    await two.until(lambda: len(one.held) == len(two.held) == 1)
    held, heard = set(one.held), len(two.assignments)
    await first.close()
    group.options = replace(base, instance_id="worker-1")
    _, again = await group.join()
    await again.until(lambda: again.held == held)
    assert len(two.held) == 1
    assert len(two.assignments) == heard


async def test_two_members_under_one_instance_id_cannot_both_work(group: Group) -> None:
    group.options = replace(group.options, instance_id="worker-1")
    _, one = await group.join()
    _, two = group.begin_to_join()
    await one.until(lambda: one.error is not None or two.error is not None)
