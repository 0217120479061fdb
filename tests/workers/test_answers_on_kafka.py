"""What the log promises about answers, by real workers on a real broker with a real endpoint."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from google.rpc.error_details_pb2 import ErrorInfo

from forebay.query.v1 import AnswerEvent, Query
from forebay_benchmarks.model_server import ModelServer
from forebay_kafka.query_view import query_of
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topic_admin import TopicAdmin
from forebay_kafka.topic_plan import TopicSettings
from forebay_standalone.broker import KafkaBroker
from forebay_standalone.ports import free_port

from .answers_on_kafka import (
    PARTITIONS,
    SESSION_SECONDS,
    Asked,
    Log,
    Place,
    has_words,
    query_name,
    worker,
)
from .record_loop.minting import Mint

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"), free_port())
    broker.start()
    try:
        broker.wait_ready()
        settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        TopicAdmin(settings, TopicSettings(query_partitions=PARTITIONS)).apply()
        yield settings
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def model_server() -> Iterator[ModelServer]:
    with ModelServer.start() as server:
        yield server


@pytest.fixture
def models(model_server: ModelServer) -> ModelServer:
    model_server.behave()
    model_server.forget_calls()
    return model_server


@pytest.fixture(scope="module")
def mint() -> Mint:
    return Mint()


@pytest.fixture
def place(kafka: KafkaSettings, models: ModelServer, mint: Mint, tmp_path: Path) -> Place:
    return Place(kafka, models, mint, tmp_path)


@pytest.fixture
async def log(place: Place) -> AsyncIterator[Log]:
    async with Log.opened(place) as opened:
        yield opened


def reason_of(query: Query) -> str:
    info = ErrorInfo()
    assert query.error.details[0].Unpack(info)
    return info.reason


def opening(attempt: str) -> AnswerEvent:
    return AnswerEvent(attempt=attempt, sequence=1, restarted=AnswerEvent.Restarted())


async def test_what_the_log_says_has_ended_costs_no_call(
    log: Log, place: Place, models: ModelServer
) -> None:
    cancelled, finished, expired, live = (query_name() for _ in range(4))
    for name in (cancelled, finished, live):
        await log.ask(name)
    await log.ask(expired, expires_in=-1)
    await log.cancel(cancelled)
    await log.write(finished, opening("former"))
    said = AnswerEvent.Completed(answer="Nine.")
    await log.write(finished, AnswerEvent(attempt="former", sequence=2, completed=said))
    with worker(place):
        # They share a partition, and the last of them comes last.
        assert (await log.until_ended(live)).state == Query.STATE_COMPLETED
        assert reason_of(await log.until_ended(expired)) == "QUERY_EXPIRED"
    assert models.calls()["chat"] == 1
    assert log.query(cancelled).state == Query.STATE_CANCELLED
    assert log.query(finished).answer == "Nine."


async def test_a_query_that_is_cancelled_just_before_its_context_comes_costs_no_call(
    log: Log, place: Place, models: ModelServer
) -> None:
    names = [query_name(number % PARTITIONS) for number in range(20)]
    with worker(place):
        for name in names:
            await log.cancel(name)
            await log.ask(name)
        markers = [query_name(partition) for partition in range(PARTITIONS)]
        for name in markers:
            await log.ask(name)
            await log.until_ended(name)
    assert models.calls()["chat"] == len(markers)


async def test_after_three_attempts_there_is_no_fourth(
    log: Log, place: Place, models: ModelServer
) -> None:
    name = query_name()
    for attempt in ("x", "y", "z"):
        await log.write(name, opening(attempt))
    await log.ask(name)
    with worker(place):
        query = await log.until_ended(name)
    assert (query.state, reason_of(query)) == (Query.STATE_FAILED, "ATTEMPTS_EXHAUSTED")
    assert models.calls()["chat"] == 0


async def test_an_endpoint_that_breaks_off_every_time_is_paid_three_times(
    log: Log, place: Place, models: ModelServer
) -> None:
    models.behave(cut_after_chunks=3, answer_tokens=50)
    name = query_name()
    with worker(place):
        await log.ask(name)
        query = await log.until_ended(name)
    assert (query.state, reason_of(query)) == (Query.STATE_FAILED, "ATTEMPTS_EXHAUSTED")
    assert models.calls()["chat"] == 3


async def test_a_forged_end_ends_nothing(log: Log, place: Place, models: ModelServer) -> None:
    name = query_name()
    await log.write(name, AnswerEvent(cancelled=AnswerEvent.Cancelled()), mint=Mint())
    await log.ask(name)
    with worker(place):
        assert (await log.until_ended(name)).state == Query.STATE_COMPLETED
    assert models.calls()["chat"] == 1


async def test_a_cancel_ends_the_call_within_a_second(
    log: Log, place: Place, models: ModelServer
) -> None:
    models.behave(answer_tokens=1_000, tokens_per_second=20)
    name = query_name()
    with worker(place):
        await log.ask(name)
        await log.until(name, has_words)
        await log.cancel(name)
        asked = time.monotonic()
        while models.calls()["running"]:
            assert time.monotonic() < asked + 1.0
            await asyncio.sleep(0.01)
    assert [call["outcome"] for call in models.calls()["calls"]] == ["disconnected"]
    assert (await log.until_ended(name)).state == Query.STATE_CANCELLED


async def test_a_cancel_ends_a_call_that_says_nothing_within_a_second(
    log: Log, place: Place, models: ModelServer
) -> None:
    models.behave(hang="before")
    name = query_name()
    with worker(place):
        await log.ask(name)
        while not models.calls()["running"]:  # noqa: ASYNC110 another process
            await asyncio.sleep(0.01)
        await log.cancel(name)
        asked = time.monotonic()
        while models.calls()["running"]:
            assert time.monotonic() < asked + 1.0
            await asyncio.sleep(0.01)


async def test_an_endpoint_that_throttles_delays_an_answer_and_fails_none(
    log: Log, place: Place, models: ModelServer
) -> None:
    models.behave(throttle_first=3, retry_after_seconds=0.3)
    name = query_name()
    with worker(place):
        await log.ask(name)
        query = await log.until_ended(name)
    assert query.state == Query.STATE_COMPLETED
    outcomes = [call["outcome"] for call in models.calls()["calls"]]
    assert outcomes == ["refused"] * 3 + ["completed"]
    # The endpoint said nothing before: all of it is one attempt.
    assert not any(event.HasField("restarted") for event in log.shown(name))


@pytest.mark.slow_faults
async def test_what_a_killed_worker_had_begun_is_whole_two_seconds_after_its_session(
    log: Log, place: Place, models: ModelServer
) -> None:
    models.behave(answer_tokens=400, tokens_per_second=20)
    names = [query_name(partition) for partition in range(PARTITIONS)]
    with worker(place) as killed, worker(place):
        await until_shared(place)
        for name in names:
            await log.ask(name)
        for name in names:
            await log.until(name, has_words)
        models.behave()
        killed.kill()
        began = time.monotonic()
        await until_count(log, names, is_begun_anew, PARTITIONS // 2)
        took = time.monotonic() - began
        for name in names:
            await log.cancel(name)
    assert took < SESSION_SECONDS + 2.0
    assert models.calls()["chat"] == PARTITIONS + PARTITIONS // 2


@pytest.mark.slow_faults
async def test_a_worker_that_wakes_after_its_session_spoils_nothing_and_pays_nothing(
    log: Log, place: Place, models: ModelServer
) -> None:
    # Short enough to be finished before its partition moves again, to the one that woke.
    models.behave(answer_tokens=40, tokens_per_second=10)
    names = [query_name(partition) for partition in range(PARTITIONS)]
    with worker(place) as zombie, worker(place):
        await until_shared(place)
        for name in names:
            await log.ask(name)
        for name in names:
            await log.until(name, has_words)
        zombie.send_signal(signal.SIGSTOP)
        await until_count(log, names, is_begun_anew, PARTITIONS // 2)
        # More work for it to find when it wakes, which is another's by then.
        more = [query_name(partition) for partition in range(PARTITIONS)]
        for name in more:
            await log.ask(name)
        zombie.send_signal(signal.SIGCONT)
        for name in (*names, *more):
            query = await log.until_ended(name, 60)
            assert query.state == Query.STATE_COMPLETED
            assert query_of(name, log.shown(name)[:-1]).answer == query.answer
    assert models.calls()["chat"] == len(names) + PARTITIONS // 2 + len(more)


def is_begun_anew(events: list[AnswerEvent]) -> bool:
    kinds = [event.WhichOneof("event") for event in events]
    return "restarted" in kinds and "delta" in kinds[kinds.index("restarted") :]


async def until_count(log: Log, names: list[str], asked: Asked, count: int) -> None:
    """Wait until so many answers are as asked."""
    waiting = [asyncio.ensure_future(log.until(name, asked)) for name in names]
    try:
        for done in asyncio.as_completed(waiting):
            await done
            count -= 1
            if not count:
                return
    finally:
        for each in waiting:
            each.cancel()


async def until_shared(place: Place) -> None:
    """Wait until two workers have half of the partitions each."""
    admin = AdminClient({"bootstrap.servers": place.kafka.bootstrap_servers})

    def shares() -> list[int]:
        described = admin.describe_consumer_groups(["forebay.generation"])
        group = described["forebay.generation"].result()
        return [len(member.assignment.topic_partitions) for member in group.members]

    async with asyncio.timeout(30):
        while await asyncio.to_thread(shares) != [PARTITIONS // 2] * 2:  # noqa: ASYNC110 a broker
            await asyncio.sleep(0.1)
