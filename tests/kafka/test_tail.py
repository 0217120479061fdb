"""Following partitions: from any offset, without a gap, without a double, within bounds."""

import asyncio
import time
from collections.abc import Sequence
from uuid import uuid4

import pytest

from forebay.query.v1 import AnswerEvent
from forebay.records.v1 import AnswerRecord
from forebay_kafka.partitioning import partition_for
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.tail import BATCH, HANDED_OVER, LogTail
from forebay_kafka.topics import topic_of

ANSWERS = topic_of(AnswerRecord)
PARTITIONS = 4
TOKEN = b"header.payload.signature"


class Taken:
    """What a tail handed over, and a way to wait for it."""

    def __init__(self) -> None:
        self.offsets: dict[int, list[int]] = {number: [] for number in range(PARTITIONS)}
        self.batches: list[int] = []
        self._moved = asyncio.Event()

    def __call__(self, records: Sequence[Received]) -> None:
        self.batches.append(len(records))
        for record in records:
            self.offsets[record.partition].append(record.offset)
        self._moved.set()

    async def reach(self, partition: int, offset: int) -> None:
        async with asyncio.timeout(20):
            while not self.offsets[partition] or self.offsets[partition][-1] < offset:
                self._moved.clear()
                await self._moved.wait()


def name_in(partition: int) -> str:
    """A new query's name that belongs to a partition."""
    while True:
        name = f"queries/{uuid4().hex}"
        if partition_for(name, PARTITIONS) == partition:
            return name


async def fill(publisher: Publisher, partition: int, count: int) -> list[int]:
    """Publish answers to a partition; their offsets."""
    name = name_in(partition)
    record = AnswerRecord(event=AnswerEvent(query=name, delta=AnswerEvent.Delta(text="word ")))
    calls = [publisher.publish(record, key=name, identity_token=TOKEN) for _ in range(count)]
    return [position.offset for position in await asyncio.gather(*calls)]


@pytest.mark.parametrize("skipped", [0, 1, 499, 1_999])
async def test_a_tail_begins_at_any_offset_and_misses_and_repeats_nothing(
    settings: KafkaSettings, publisher: Publisher, skipped: int
) -> None:
    offsets = await fill(publisher, 0, 2_000)
    taken = Taken()
    async with LogTail(settings, ANSWERS, taken) as tail:
        tail.follow(0, offsets[skipped])
        later = asyncio.create_task(fill(publisher, 0, 500))
        await taken.reach(0, offsets[-1] + 500)
        offsets += await later
    assert taken.offsets[0] == offsets[skipped:]


async def test_partitions_come_and_go_without_touching_one_another(
    settings: KafkaSettings, publisher: Publisher
) -> None:
    taken = Taken()
    async with LogTail(settings, ANSWERS, taken) as tail:
        starts = [await tail.end_offset(number) for number in range(PARTITIONS)]
        tail.follow(1, starts[1])
        first = await fill(publisher, 1, 20)
        await taken.reach(1, first[-1])
        tail.follow(2, starts[2])
        both = [*await fill(publisher, 1, 20), *await fill(publisher, 2, 20)]
        await taken.reach(1, both[19])
        await taken.reach(2, both[-1])
        tail.unfollow(1)
        # Commands are obeyed in their order: once 3 is followed, 1 no longer is.
        tail.follow(3, starts[3])
        third = await fill(publisher, 3, 1)
        await taken.reach(3, third[-1])
        unseen = await fill(publisher, 1, 20)
        seen = await fill(publisher, 2, 20)
        await taken.reach(2, seen[-1])
        assert unseen[0] not in taken.offsets[1]
        tail.follow(1, unseen[0])
        await taken.reach(1, unseen[-1])
    assert taken.offsets[1] == [*first, *both[:20], *unseen]
    assert taken.offsets[2] == [*both[20:], *seen]
    assert taken.offsets[3] == third


async def test_following_twice_or_leaving_what_was_never_followed_stops_nothing(
    settings: KafkaSettings, publisher: Publisher
) -> None:
    taken = Taken()
    async with LogTail(settings, ANSWERS, taken) as tail:
        start = await tail.end_offset(3)
        tail.follow(3, start)
        tail.follow(3, start)
        tail.unfollow(1)
        offsets = await fill(publisher, 3, 10)
        await taken.reach(3, offsets[-1])
    assert taken.offsets[3] == offsets


async def test_a_busy_loop_is_given_no_more_than_its_bound(
    settings: KafkaSettings, publisher: Publisher
) -> None:
    offsets = await fill(publisher, 2, 5_000)
    taken = Taken()
    async with LogTail(settings, ANSWERS, taken) as tail:
        tail.follow(2, offsets[0])
        await taken.reach(2, offsets[0])
        before = len(taken.batches)
        time.sleep(0.5)  # noqa: ASYNC251 the loop is held, which is the point
        await asyncio.sleep(0)
        assert len(taken.batches) - before <= HANDED_OVER + 1
        await taken.reach(2, offsets[-1])
    assert max(taken.batches) <= BATCH
    assert taken.offsets[2] == offsets


async def test_an_offset_is_found_by_the_time_of_its_record(
    settings: KafkaSettings, publisher: Publisher
) -> None:
    name = name_in(0)
    record = AnswerRecord(event=AnswerEvent(query=name))
    first = await publisher.publish(record, key=name, identity_token=TOKEN)
    async with LogTail(settings, ANSWERS, lambda _: None) as tail:
        end = await tail.end_offset(0)
        assert end == first.offset + 1
        assert await tail.offset_at(0, first.timestamp_ms) <= first.offset
        assert await tail.offset_at(0, first.timestamp_ms + 1) in {first.offset + 1, end}
        assert await tail.offset_at(0, first.timestamp_ms + 86_400_000) == end
        assert await tail.offset_at(0, 0) == 0
