"""What a program sees of a log that is away, and that it is over once the log is back."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress

import pytest

from forebay.query.v1 import AnswerEvent
from forebay.records.v1 import AnswerRecord, QueryRecord
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.history import LogHistory
from forebay_kafka.partitioning import partition_for
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.tail import LOOK_UP_SECONDS, LogTail
from forebay_kafka.topics import topic_of
from forebay_standalone.broker import KafkaBroker
from forebay_standalone.ports import free_port

TOKEN = b"header.payload.signature"
ANSWERS = topic_of(AnswerRecord)
OVERHEAD = 2.5  # librdkafka looks for records over their time once a second


@pytest.fixture(scope="module")
def own(
    launch: Callable[..., tuple[KafkaBroker, KafkaSettings]],
) -> tuple[KafkaBroker, KafkaSettings]:
    """A broker that may be stopped."""
    return launch()


@pytest.fixture
def stopped(own: tuple[KafkaBroker, KafkaSettings]) -> Iterator[KafkaBroker]:
    broker = own[0]
    broker.kill()
    yield broker
    broker.start()
    broker.wait_ready()


@pytest.fixture
async def publisher(own: tuple[KafkaBroker, KafkaSettings]) -> AsyncIterator[Publisher]:
    async with Publisher(own[1]) as open_publisher:
        await open_publisher.partition_count(AnswerRecord)
        yield open_publisher


async def publish(publisher: Publisher, query: str) -> int:
    record = AnswerRecord(event=AnswerEvent(query=query))
    return (await publisher.publish(record, key=query, identity_token=TOKEN)).offset


async def landed(publisher: Publisher, query: str) -> int:
    """Publish once the log is back."""
    while True:
        with suppress(LogUnavailable):
            return await publish(publisher, query)


@pytest.mark.slow_faults
async def test_nothing_is_promised_while_the_broker_is_frozen_and_all_is_well_afterwards(
    own: tuple[KafkaBroker, KafkaSettings], publisher: Publisher, query: str
) -> None:
    broker, settings = own
    before = await publish(publisher, query)
    broker.suspend()
    started = time.monotonic()
    try:
        with pytest.raises(LogUnavailable):
            await publish(publisher, query)
    finally:
        broker.resume()
    assert time.monotonic() - started < settings.delivery_timeout + OVERHEAD
    async with asyncio.timeout(20):
        assert await publish(publisher, query) > before


async def test_a_record_given_while_the_broker_restarts_lands_once(
    own: tuple[KafkaBroker, KafkaSettings], query: str
) -> None:
    broker, settings = own
    patient = settings.model_copy(update={"delivery_timeout": 30.0})
    async with Publisher(patient) as publisher:
        before = await publish(publisher, query)
        broker.stop()
        waiting = asyncio.create_task(publish(publisher, query))
        broker.start()
        after = await waiting
        async with LogHistory(settings, ANSWERS) as history:
            partition = partition_for(query, 4)
            found = await history.read(partition, before, after + 1, query.encode())
    assert [record.offset for record in found] == [before, after]


async def test_a_log_that_is_away_is_said_within_the_delivery_timeout(
    own: tuple[KafkaBroker, KafkaSettings],
    publisher: Publisher,
    stopped: KafkaBroker,
    query: str,
) -> None:
    assert not stopped.alive
    started = time.monotonic()
    with pytest.raises(LogUnavailable):
        await publish(publisher, query)
    assert time.monotonic() - started < own[1].delivery_timeout + OVERHEAD


async def test_a_publisher_that_never_saw_the_log_says_so_to_all_of_its_callers(query: str) -> None:
    nowhere = KafkaSettings(
        bootstrap_servers=f"127.0.0.1:{free_port()}",
        delivery_timeout=1.0,
        options={"log_level": 0},
    )
    async with Publisher(nowhere) as publisher:
        calls = [publish(publisher, query) for _ in range(20)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {LogUnavailable}


@pytest.mark.slow_faults
async def test_a_record_that_waited_for_its_topic_while_others_expired_is_acknowledged(
    own: tuple[KafkaBroker, KafkaSettings], publisher: Publisher, query: str
) -> None:
    released = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as lookups:
        asyncio.get_running_loop().set_default_executor(lookups)
        lookups.submit(released.wait)
        waiting = publisher.publish(QueryRecord(name=query), key=query, identity_token=TOKEN)
        own[0].suspend()
        try:
            with pytest.raises(LogUnavailable):
                await publish(publisher, query)
        finally:
            own[0].resume()
            await landed(publisher, query)
            released.set()
        async with asyncio.timeout(20):
            assert (await waiting).offset >= 0


@pytest.mark.slow_faults
async def test_leaving_ends_every_call_that_is_under_way(
    own: tuple[KafkaBroker, KafkaSettings], stopped: KafkaBroker, query: str
) -> None:
    stopped.start()
    stopped.wait_ready()
    async with Publisher(own[1]) as publisher:
        await publish(publisher, query)
        stopped.kill()
        calls = [asyncio.create_task(publish(publisher, query)) for _ in range(20)]
        await asyncio.sleep(0)
    async with asyncio.timeout(1):
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {LogUnavailable}


@pytest.mark.slow_faults
async def test_looking_up_offsets_and_history_says_that_the_log_is_away(
    own: tuple[KafkaBroker, KafkaSettings], stopped: KafkaBroker
) -> None:
    assert not stopped.alive
    async with LogTail(own[1], ANSWERS, lambda _: None) as tail:
        with pytest.raises(LogUnavailable):
            await tail.end_offset(0)
        with pytest.raises(LogUnavailable):
            await tail.offset_at(0, 0)
    async with LogHistory(own[1], ANSWERS) as history:
        with pytest.raises(LogUnavailable):
            await history.read(0, 0, 1, b"x")


async def test_everybody_hears_in_time_that_the_log_tells_no_offsets() -> None:
    """The client does one look-up at a time: nobody may wait for those of all others."""
    nowhere = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}", options={"log_level": 0})
    async with LogTail(nowhere, ANSWERS, lambda _: None) as tail:
        started = time.monotonic()
        calls = [tail.end_offset(number % 3) for number in range(50)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {LogUnavailable}
        assert time.monotonic() - started < LOOK_UP_SECONDS + 1


@pytest.mark.slow_faults
async def test_a_tail_goes_on_where_it_was_once_the_log_is_back(
    own: tuple[KafkaBroker, KafkaSettings], query: str
) -> None:
    broker, settings = own
    patient = settings.model_copy(update={"delivery_timeout": 30.0})
    seen: list[int] = []
    arrived = asyncio.Condition()

    def take(records: list[Received] | tuple[Received, ...]) -> None:
        seen.extend(record.offset for record in records if record.key == query.encode())
        asyncio.get_running_loop().create_task(announce())

    async def announce() -> None:
        async with arrived:
            arrived.notify_all()

    async with Publisher(patient) as publisher, LogTail(settings, ANSWERS, take) as tail:  # type: ignore[arg-type]
        partition = partition_for(query, 4)
        tail.follow(partition, await tail.end_offset(partition))
        landed = [await publish(publisher, query)]
        broker.kill()
        broker.start()
        landed.append(await publish(publisher, query))
        async with asyncio.timeout(30), arrived:
            await arrived.wait_for(lambda: len(seen) >= len(landed))
    assert seen == landed


@pytest.fixture
def hasty(
    launch: Callable[..., tuple[KafkaBroker, KafkaSettings]],
) -> tuple[KafkaBroker, KafkaSettings]:
    """A broker that its own controller takes for dead after a second."""
    session = {"broker.session.timeout.ms": "1000", "broker.heartbeat.interval.ms": "200"}
    return launch(**session)


@pytest.mark.slow_faults
async def test_offsets_are_told_again_once_partitions_have_their_leaders_back(
    hasty: tuple[KafkaBroker, KafkaSettings],
) -> None:
    broker, settings = hasty
    async with AsyncExitStack() as stack:
        tails = [
            await stack.enter_async_context(LogTail(settings, ANSWERS, lambda _: None))
            for _ in range(8)
        ]
        await asyncio.gather(*(told(tail, 0) for tail in tails))
        for _ in range(3):
            for _ in range(2):
                broker.suspend()
                await asyncio.sleep(1.5)  # over the broker's session: partitions lose their leader
                broker.resume()
            async with asyncio.timeout(20):
                await asyncio.gather(*(told(tail, each / 20) for each, tail in enumerate(tails)))


async def told(tail: LogTail, after: float) -> None:
    """Ask for all offsets until they are told; what goes wrong depends on the moment."""
    await asyncio.sleep(after)
    for partition in range(4):
        while True:
            try:
                await tail.offset_at(partition, 0)
            except LogUnavailable:
                continue
            break
