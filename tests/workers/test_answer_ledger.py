"""What is read of the past when partitions change hands: little, soon, and to be believed."""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from forebay.query.v1 import AnswerEvent, Passage
from forebay.records.v1 import AnswerRecord, QueryRecord
from forebay_kafka.envelope import EnvelopeVerifier, Statement
from forebay_kafka.envelope_keys import verification_keys
from forebay_kafka.publisher import Position, Publisher
from forebay_kafka.records import Received, RecordReader, Verified, record_type
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topic_admin import TopicAdmin
from forebay_kafka.topic_plan import TopicSettings
from forebay_kafka.topics import IDENTITY_HEADER, RECORD_TYPE_HEADER
from forebay_standalone.broker import KafkaBroker
from forebay_standalone.ports import free_port
from forebay_workers.ledger.answers import TOPIC, AnswerLedger
from forebay_workers.ledger.output_tail import OutputTail

from .record_loop.minting import Mint, identity_of

PARTITIONS = 12
ANSWERS = 667
EVENTS = 30  # a paragraph's
TAKE_OVER_SECONDS = 2.0
MIB = 1024 * 1024
MINT = Mint()


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


@pytest.fixture
async def publisher(kafka: KafkaSettings) -> AsyncIterator[Publisher]:
    async with Publisher(kafka) as open_publisher:
        yield open_publisher


class CountingReader(RecordReader):
    """Counts what it is asked to read."""

    def __init__(self) -> None:
        super().__init__(EnvelopeVerifier(verification_keys(MINT.jwks)))
        self.reads = 0

    def read(self, received: Received) -> Verified:  # type: ignore[type-arg]
        self.reads += 1
        return super().read(received)


def token(name: str, mint: Mint = MINT) -> bytes:
    kind = record_type(QueryRecord)
    return mint.signer.seal(identity_of("acme"), kind, b"", Statement(name))


def answer(name: str) -> list[AnswerRecord]:
    """All events of one answer."""
    kinds = [
        {"restarted": AnswerEvent.Restarted()},
        *({"delta": AnswerEvent.Delta(text="some words of it ")} for _ in range(EVENTS - 2)),
        {"completed": AnswerEvent.Completed(answer="some words of it " * (EVENTS - 2))},
    ]
    return [
        AnswerRecord(event=AnswerEvent(query=name, attempt="a", sequence=number, **kind))  # type: ignore[arg-type]
        for number, kind in enumerate(kinds, start=1)
    ]


async def write(publisher: Publisher, names: list[str]) -> Position:
    writing = [
        publisher.publish(record, key=name, identity_token=sealed)
        for name, sealed in ((name, token(name)) for name in names)
        for record in answer(name)
    ]
    return (await asyncio.gather(*writing))[-1]


async def test_twenty_thousand_events_of_the_past_are_taken_over_in_two_seconds(
    kafka: KafkaSettings, publisher: Publisher
) -> None:
    names = [f"queries/{uuid4().hex}" for _ in range(ANSWERS)]
    await write(publisher, names)
    reader = CountingReader()
    ledger = AnswerLedger(reader)
    async with OutputTail(kafka, AnswerRecord, ledger.take) as tail:
        began = time.monotonic()
        await tail.take_over(frozenset(range(PARTITIONS)))
        took = time.monotonic() - began
        assert reader.reads == 0
        assert ledger.progress(names[-1]).ended.is_set()
        assert reader.reads == EVENTS
        last = await write(publisher, [f"queries/{uuid4().hex}"])
        await ledger.seen(last)
    assert took < TAKE_OVER_SECONDS


def received(name: str, record: AnswerRecord, offset: int, mint: Mint = MINT) -> Received:
    headers = (
        (RECORD_TYPE_HEADER, record_type(AnswerRecord).encode()),
        (IDENTITY_HEADER, token(name, mint)),
    )
    return Received(TOPIC, 0, offset, 0, name.encode(), record.SerializeToString(), headers)


@pytest.mark.parametrize("asked_first", [True, False])
async def test_a_forged_record_ends_nothing_and_hides_nothing(*, asked_first: bool) -> None:
    name = "queries/abc"
    ledger = AnswerLedger(RecordReader(EnvelopeVerifier(verification_keys(MINT.jwks))))
    if asked_first:
        ledger.progress(name)
    forged = AnswerRecord(event=AnswerEvent(query=name, cancelled=AnswerEvent.Cancelled()))
    *events, completed = answer(name)
    ledger.take(received(name, forged, 0, Mint()))
    for offset, event in enumerate(events, start=1):
        ledger.take(received(name, event, offset))
    assert not ledger.progress(name).ended.is_set()
    ledger.take(received(name, completed, 100))
    assert ledger.progress(name).ended.is_set()


def retrieved(name: str) -> list[AnswerRecord]:
    """An answer of passages alone, as large as they usually are."""
    passages = [Passage(document=f"{name}/{ordinal}", text="word " * 300) for ordinal in range(10)]
    kinds = [
        {"restarted": AnswerEvent.Restarted()},
        {"retrieved": AnswerEvent.Retrieved(passages=passages)},
        {"completed": AnswerEvent.Completed()},
    ]
    return [
        AnswerRecord(event=AnswerEvent(query=name, attempt="a", sequence=number, **kind))  # type: ignore[arg-type]
        for number, kind in enumerate(kinds, start=1)
    ]


async def test_answers_that_nobody_asks_for_take_little_memory_and_are_known_all_the_same() -> None:
    names = [f"queries/{number}" for number in range(300)]
    reader = CountingReader()
    ledger = AnswerLedger(reader, held_bytes=MIB)
    offset = 0
    tracemalloc.start()
    try:
        for name in names:
            for record in retrieved(name):
                ledger.take(received(name, record, offset))
                offset += 1
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 3 * MIB  # all of it is 5 MiB
    assert reader.reads < offset
    assert all(ledger.progress(name).ended.is_set() for name in names)
    assert reader.reads == offset


async def test_waiting_for_a_record_ends_with_it_and_not_before() -> None:
    ledger = AnswerLedger(RecordReader(EnvelopeVerifier(verification_keys(MINT.jwks))))
    [record, *_] = answer("queries/abc")
    waits = [
        asyncio.ensure_future(ledger.seen(Position(TOPIC, partition, offset, 0)))
        for partition, offset in ((0, 2), (0, 1), (1, 0))
    ]
    done = []
    for offset in range(3):
        ledger.take(received("queries/abc", record, offset))
        await asyncio.sleep(0)
        done.append([wait.done() for wait in waits])
    assert done == [[False, False, False], [False, True, False], [True, True, False]]
    waits[2].cancel()
