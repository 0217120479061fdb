"""The one reader of answers, on a real log: windows in memory, and the log's past behind them."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from forebay.query.v1 import AnswerEvent
from forebay.records.v1 import AnswerRecord
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings
from forebay_server.answers.follower import MAX_QUEUED_BYTES, Follower
from forebay_server.answers.reader import AnswerReader
from forebay_server.answers.window import PartitionWindow

PARTITIONS = 3
TOKEN = b"header.payload.signature"


@pytest.fixture
async def publisher(kafka: KafkaSettings) -> AsyncIterator[Publisher]:
    async with Publisher(kafka) as open_publisher:
        yield open_publisher


@pytest.fixture
async def reader(kafka: KafkaSettings) -> AsyncIterator[AnswerReader]:
    async with AnswerReader(kafka, PARTITIONS) as open_reader:
        yield open_reader


@pytest.fixture
def name() -> str:
    return f"queries/{uuid4().hex}"


def now_ms() -> int:
    return int(time.time() * 1000)


async def write(publisher: Publisher, name: str, count: int) -> list[int]:
    record = AnswerRecord(event=AnswerEvent(query=name))
    calls = [publisher.publish(record, key=name, identity_token=TOKEN) for _ in range(count)]
    return [position.offset for position in await asyncio.gather(*calls)]


async def take(follower: Follower, count: int) -> list[int]:
    async with asyncio.timeout(20):
        return [(await follower.next()).offset for _ in range(count)]


async def test_a_follower_gets_what_was_there_and_what_comes_each_once(
    publisher: Publisher, reader: AnswerReader, name: str
) -> None:
    before = await write(publisher, name, 20)
    async with reader.following(name, now_ms()) as follower:
        after = await write(publisher, name, 20)
        assert await take(follower, 40) == [*before, *after]
        assert not follower.ready


@pytest.mark.parametrize("bound", ["KEPT_MS", "MAX_KEPT_BYTES"])
async def test_what_is_older_than_the_memory_comes_from_the_log(
    kafka: KafkaSettings,
    publisher: Publisher,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    bound: str,
) -> None:
    monkeypatch.setattr(f"forebay_server.answers.reader.{bound}", 0)
    before = await write(publisher, name, 50)
    async with AnswerReader(kafka, PARTITIONS) as forgetful:
        async with forgetful.following(name, now_ms()) as follower:
            after = await write(publisher, name, 5)
            assert await take(follower, 55) == [*before, *after]
        found = await forgetful.snapshot(name, now_ms(), up_to=after[-1] + 1)
    assert [record.offset for record in found] == [*before, *after]


async def test_many_followers_that_come_while_records_come_miss_nothing(
    publisher: Publisher, reader: AnswerReader, name: str
) -> None:
    async def follow() -> list[int]:
        async with reader.following(name, now_ms()) as follower:
            return await take(follower, 300)

    followers = []
    offsets: list[int] = []
    for _ in range(10):
        followers.append(asyncio.create_task(follow()))
        offsets += await write(publisher, name, 30)
    assert await asyncio.gather(*followers) == [offsets] * 10


async def test_a_follower_that_leaves_while_a_partition_opens_leaves_it_usable(
    publisher: Publisher, reader: AnswerReader, name: str
) -> None:
    offsets = await write(publisher, name, 3)

    async def follow() -> list[int]:
        async with reader.following(name, now_ms()) as follower:
            return await take(follower, 3)

    for _ in range(5):
        leaving = asyncio.create_task(follow())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    assert await follow() == offsets


async def test_a_snapshot_holds_everything_up_to_what_was_just_written(
    publisher: Publisher, reader: AnswerReader, name: str
) -> None:
    for count in range(1, 6):
        offsets = await write(publisher, name, 1)
        found = await reader.snapshot(name, now_ms(), up_to=offsets[-1] + 1)
        assert len(found) == count


async def test_a_query_that_nobody_wrote_to_is_empty(reader: AnswerReader, name: str) -> None:
    assert list(await reader.snapshot(name, now_ms())) == []


def record(offset: int, *, key: bytes | None = b"q", size: int = 10, at: int = 0) -> Received:
    return Received("t", 0, offset, at, key, b"x" * size, ())


def test_a_window_forgets_the_oldest_and_says_since_when_it_is_whole() -> None:
    window = PartitionWindow(5, 1_000)
    for offset in range(5, 10):
        window.append(record(offset, key=b"ab"[offset % 2 :][:1], at=1_000 + offset))
    assert [each.offset for each in window.of(b"a")] == [6, 8]
    window.drop_before(1_007)
    assert (window.start, window.position, window.since_ms) == (7, 10, 1_007)
    assert [each.offset for each in window.of(b"a")] == [8]
    for _ in range(9):
        window.drop_oldest()
    assert (window.start, window.position, window.size) == (10, 10, 0)
    assert window.of(b"a") == ()


def test_a_dropped_record_takes_its_whole_millisecond_with_it() -> None:
    window = PartitionWindow(0, 0)
    window.append(record(0, at=50))
    window.append(record(1, at=50))
    window.drop_oldest()
    assert window.since_ms == 51


async def test_one_record_above_the_bound_is_no_reason_to_call_a_reader_slow() -> None:
    follower = Follower()
    follower.push(record(0, size=MAX_QUEUED_BYTES + 1))
    assert (await follower.next()).offset == 0
    follower.push(record(1))
    assert (await follower.next()).offset == 1
