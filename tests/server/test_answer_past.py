"""What is no longer in memory: read from the log once for all who come back at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from forebay_kafka.publisher import Publisher
from forebay_kafka.settings import KafkaSettings
from forebay_server.answers.past import Wish, overlapping
from forebay_server.answers.reader import AnswerReader

from .test_answer_reader import PARTITIONS, now_ms, take, write

READERS = 500
EVENTS = 30
ENOUGH_SECONDS = 5.0


@pytest.fixture
async def publisher(kafka: KafkaSettings) -> AsyncIterator[Publisher]:
    async with Publisher(kafka) as open_publisher:
        yield open_publisher


async def test_five_hundred_readers_come_back_at_once_after_a_restart(
    kafka: KafkaSettings, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forebay_server.answers.reader.KEPT_MS", 0)
    names = [f"queries/{uuid4().hex}" for _ in range(READERS)]
    written = await asyncio.gather(*(write(publisher, name, EVENTS) for name in names))
    asked = now_ms()
    async with AnswerReader(kafka, PARTITIONS) as restarted:

        async def resume(name: str) -> list[int]:
            async with restarted.following(name, asked) as follower:
                return await take(follower, EVENTS)

        began = time.monotonic()
        found = await asyncio.gather(*map(resume, names))
        took = time.monotonic() - began
    assert found == written
    assert took < ENOUGH_SECONDS


async def test_readers_that_leave_take_nothing_from_those_who_stay(
    kafka: KafkaSettings, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forebay_server.answers.reader.KEPT_MS", 0)
    name = f"queries/{uuid4().hex}"
    offsets = await write(publisher, name, EVENTS)
    asked = now_ms()
    async with AnswerReader(kafka, PARTITIONS) as reader:

        async def resume() -> list[int]:
            async with reader.following(name, asked) as follower:
                return await take(follower, EVENTS)

        for leaving in (1, 5):
            readers = [asyncio.create_task(resume()) for _ in range(10)]
            for _ in range(leaving):
                await asyncio.sleep(0)
            for each in readers[::2]:
                each.cancel()
            stayed = await asyncio.gather(*readers[1::2])
            assert stayed == [offsets] * 5
        assert await resume() == offsets


def wish(start: int, end: int) -> Wish:
    return Wish(b"", (start, end), 0, asyncio.Future())


async def test_wishes_for_times_far_apart_do_not_make_anybody_read_what_lies_between() -> None:
    old, older, new, newer = wish(10, 20), wish(0, 12), wish(100, 110), wish(105, 120)
    assert overlapping([new, old, newer, older]) == [[older, old], [new, newer]]
