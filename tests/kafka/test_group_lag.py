"""How far groups are behind, as a real broker tells it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import confluent_kafka
import pytest

from forebay.query.v1 import SubmitQueryRequest
from forebay.records.v1 import ContextRecord, QueryRecord
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.group_lag import GroupLag, LagSnapshot
from forebay_kafka.group_membership import TopicPartition
from forebay_kafka.publisher import Publisher
from forebay_kafka.record_times import RecordPlace, RecordTimes, _Search
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import topic_of
from forebay_standalone.broker import KafkaBroker

QUERIES, CONTEXTS = topic_of(QueryRecord).name, topic_of(ContextRecord).name
TOKEN = b"header.payload.signature"


@pytest.fixture
def group() -> str:
    return f"test.{uuid4().hex}"


@pytest.fixture
async def lag(settings: KafkaSettings, group: str) -> AsyncIterator[GroupLag]:
    async with GroupLag(settings, {group: [QUERIES], f"{group}.other": [QUERIES, CONTEXTS]}) as lag:
        yield lag


async def write(publisher: Publisher, count: int) -> None:
    record = QueryRecord(name="queries/lag", request=SubmitQueryRequest(text="?"))
    calls = [
        publisher.publish(record, key=f"queries/{uuid4().hex}", identity_token=TOKEN)
        for _ in range(count)
    ]
    await asyncio.gather(*calls)


def commit(settings: KafkaSettings, group: str, place: TopicPartition, offset: int) -> None:
    consumer = confluent_kafka.Consumer({**settings.client_options(), "group.id": group})
    consumer.commit(offsets=[confluent_kafka.TopicPartition(*place, offset)], asynchronous=False)
    consumer.close()


async def next_but_one(lag: GroupLag) -> LagSnapshot:
    """A snapshot whose questions were all asked after the call; new brokers take their time."""
    seen = lag.recent[-1].taken_at if lag.recent else 0.0
    async with asyncio.timeout(60):
        while sum(each.taken_at > seen for each in lag.recent) < 2:  # noqa: ASYNC110 it only comes
            await asyncio.sleep(0.05)
    return lag.recent[-1]


async def unavailable(lag: GroupLag) -> None:
    """Ask until it is refused."""
    while True:
        await lag.fresh()
        await asyncio.sleep(0.2)


async def test_a_group_that_never_committed_has_everything_before_it(
    publisher: Publisher, lag: GroupLag, group: str
) -> None:
    before = sum(each.records for each in (await next_but_one(lag)).groups[group].values())
    await write(publisher, 7)
    found = await next_but_one(lag)
    assert sum(each.records for each in found.groups[group].values()) == before + 7
    assert {place.topic for place in found.groups[f"{group}.other"]} == {QUERIES, CONTEXTS}


async def test_what_a_group_committed_is_behind_it(
    settings: KafkaSettings, publisher: Publisher, lag: GroupLag, group: str
) -> None:
    await write(publisher, 20)
    places = (await next_but_one(lag)).groups[group]
    place, partition = max(places.items(), key=lambda each: each[1].records)
    await asyncio.to_thread(commit, settings, group, place, partition.end - 1)
    found = (await next_but_one(lag)).groups[group][place]
    assert (found.committed, found.end, found.records) == (partition.end - 1, partition.end, 1)


@pytest.mark.slow_faults
async def test_offsets_of_a_log_that_is_away_are_refused_in_time_and_come_back(
    launch: Callable[[], tuple[KafkaBroker, KafkaSettings]], group: str
) -> None:
    broker, settings = await asyncio.to_thread(launch)
    async with GroupLag(settings, {group: [QUERIES]}) as lag:
        await next_but_one(lag)
        assert await lag.fresh() is lag.recent[-1]
        await asyncio.to_thread(broker.stop)
        async with asyncio.timeout(20):
            with pytest.raises(LogUnavailable):
                await unavailable(lag)
        await asyncio.to_thread(broker.start)
        await asyncio.to_thread(broker.wait_ready)
        await next_but_one(lag)
        await lag.fresh()


async def test_the_time_of_a_record_is_found_without_reading_it(
    settings: KafkaSettings, publisher: Publisher
) -> None:
    record = QueryRecord(name="queries/lag", request=SubmitQueryRequest(text="?"))
    landed = [
        await publisher.publish(record, key="queries/lag", identity_token=TOKEN) for _ in range(3)
    ]
    # The same partition twice, as two groups that read one topic ask for it.
    places = {RecordPlace(each.topic, each.partition, each.offset): each for each in landed}
    nowhere = RecordPlace("forebay.nowhere", 0, 0)
    began = time.monotonic()
    async with RecordTimes(settings) as times:
        found = await times.of({*places, nowhere})
    assert time.monotonic() - began < 5
    assert found.keys() == places.keys()
    for place, each in places.items():
        assert abs(found[place] - each.timestamp_ms) < 500


@pytest.mark.parametrize("age", [0, 999, 1_001, 60_000, 86_400_000, 10**12])
def test_a_search_ends_near_the_age_that_a_record_has(age: int) -> None:
    now = 1_800_000_000_000
    search, asked = _Search(RecordPlace("t", 0, 5), now), 0
    while not search.is_over:
        asked += 1
        search.learn(5 if search.next_age >= age else 6)
    assert search.old is not None
    assert 0 <= search.old - age <= max(250, age / 30)
    assert asked < 40
