"""Reading a stretch of a partition again for the records of one key."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from forebay.query.v1 import AnswerEvent
from forebay.records.v1 import AnswerRecord
from forebay_kafka.history import READERS, STALL_SECONDS, LogHistory
from forebay_kafka.partitioning import partition_for
from forebay_kafka.publisher import Position, Publisher
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import topic_of

TOKEN = b"header.payload.signature"


@pytest.fixture
async def history(settings: KafkaSettings) -> AsyncIterator[LogHistory]:
    async with LogHistory(settings, topic_of(AnswerRecord)) as open_history:
        yield open_history


async def interleave(publisher: Publisher, names: list[str], rounds: int) -> list[Position]:
    calls = [
        publisher.publish(
            AnswerRecord(event=AnswerEvent(query=name)), key=name, identity_token=TOKEN
        )
        for _ in range(rounds)
        for name in names
    ]
    return await asyncio.gather(*calls)


async def test_exactly_the_records_of_the_key_within_the_stretch_come_back_in_order(
    publisher: Publisher, history: LogHistory
) -> None:
    names = [f"queries/{uuid4().hex}" for _ in range(8)]
    positions = await interleave(publisher, names, 300)
    for index, name in enumerate(names):
        own = [position.offset for position in positions[index :: len(names)]]
        partition = partition_for(name, 4)
        found = await history.read(partition, own[0], own[-1] + 1, name.encode())
        assert [record.offset for record in found] == own
        inner = await history.read(partition, own[1], own[-1], name.encode())
        assert [record.offset for record in inner] == own[1:-1]


async def test_an_empty_stretch_needs_no_broker(history: LogHistory) -> None:
    assert await history.read(0, 7, 7, b"x") == ()
    assert await history.read(0, 7, 3, b"x") == ()


async def test_many_readings_at_once_take_turns(publisher: Publisher, history: LogHistory) -> None:
    names = [f"queries/{uuid4().hex}" for _ in range(4 * READERS)]
    positions = await interleave(publisher, names, 20)

    async def read(index: int, name: str) -> int:
        own = [position.offset for position in positions[index :: len(names)]]
        found = await history.read(partition_for(name, 4), own[0], own[-1] + 1, name.encode())
        assert [record.offset for record in found] == own
        return len(found)

    counts = await asyncio.gather(*(read(index, name) for index, name in enumerate(names)))
    assert counts == [20] * len(names)


async def test_a_reader_that_leaves_gives_its_place_back(
    publisher: Publisher, history: LogHistory
) -> None:
    name = f"queries/{uuid4().hex}"
    positions = await interleave(publisher, [name], 2_000)
    first, last = positions[0].offset, positions[-1].offset
    partition = partition_for(name, 4)
    leaving = [
        asyncio.create_task(history.read(partition, first, last + 1, name.encode()))
        for _ in range(3 * READERS)
    ]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    found = await history.read(partition, first, last + 1, name.encode())
    assert len(found) == 2_000


async def test_a_reading_that_nobody_waits_for_ends_at_once(
    publisher: Publisher, history: LogHistory
) -> None:
    name = f"queries/{uuid4().hex}"
    [position] = await interleave(publisher, [name], 1)
    partition, start, never = position.partition, position.offset, position.offset + 1_000_000
    leaving = [
        asyncio.create_task(history.read(partition, start, never, name.encode()))
        for _ in range(READERS)
    ]
    await asyncio.sleep(0)  # both have a consumer now
    for task in leaving:
        task.cancel()
    async with asyncio.timeout(STALL_SECONDS / 2):
        assert len(await history.read(partition, start, start + 1, name.encode())) == 1
