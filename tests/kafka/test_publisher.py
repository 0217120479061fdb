"""What is published is in the log: whole, in order, and with its envelope."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from google.protobuf.message import Message

from forebay.ingest.v1 import Document
from forebay.query.v1 import AnswerEvent, SubmitQueryRequest
from forebay.records.v1 import (
    AnswerRecord,
    AuditRecord,
    ChunkSet,
    ContextRecord,
    DeadLetter,
    DocumentRecord,
    DocumentUpdate,
    QueryRecord,
    RetryRecord,
    StageReport,
    UsageRecord,
)
from forebay_kafka.errors import LogUnavailable, RecordTooLarge
from forebay_kafka.history import LogHistory
from forebay_kafka.partitioning import partition_for
from forebay_kafka.publisher import Position, Publisher
from forebay_kafka.records import Received, record_type
from forebay_kafka.settings import MAX_RECORD_BYTES, KafkaSettings
from forebay_kafka.topics import (
    IDENTITY_HEADER,
    RECORD_TYPE_HEADER,
    TOPICS,
    TRACE_PARENT_HEADER,
    topic_of,
)

TOKEN = b"header.payload.signature"
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EXAMPLES: dict[type[Message], Message] = {
    DocumentRecord: DocumentRecord(name="d", document=Document(text="Deep.")),
    DocumentUpdate: DocumentUpdate(name="d", deletion=DocumentUpdate.Deletion()),
    ChunkSet: ChunkSet(name="d", chunking="1"),
    QueryRecord: QueryRecord(name="q", request=SubmitQueryRequest(text="How deep?")),
    ContextRecord: ContextRecord(name="q", text="How deep?"),
    AnswerRecord: AnswerRecord(event=AnswerEvent(query="q")),
    RetryRecord: RetryRecord(group="g", source=RetryRecord.Source(topic="t", value=b"\x00")),
    UsageRecord: UsageRecord(name="q", attempt="1"),
    AuditRecord: AuditRecord(name="a", count=1),
    DeadLetter: DeadLetter(topic="t", value=b"\x00"),
    StageReport: StageReport(member="m"),
}
Log = Callable[[type[Message], Position, str], Awaitable[Received]]


def delta(query: str, sequence: int) -> AnswerRecord:
    event = AnswerEvent(query=query, sequence=sequence, delta=AnswerEvent.Delta(text="x"))
    return AnswerRecord(event=event)


@pytest.fixture
def log(settings: KafkaSettings) -> Log:
    """Reads the one record at a position."""

    async def at(record: type[Message], position: Position, key: str) -> Received:
        async with LogHistory(settings, topic_of(record)) as history:
            [found] = await history.read(
                position.partition, position.offset, position.offset + 1, key.encode()
            )
            return found

    return at


@pytest.mark.parametrize("record", EXAMPLES)
async def test_every_record_of_every_topic_carries_its_envelope(
    publisher: Publisher, log: Log, query: str, record: type[Message]
) -> None:
    message = EXAMPLES[record]
    position = await publisher.publish(message, key=query, identity_token=TOKEN, trace_parent=TRACE)
    found = await log(record, position, query)
    assert found.value == message.SerializeToString()
    assert dict(found.headers) == {
        RECORD_TYPE_HEADER: record_type(record).encode(),
        IDENTITY_HEADER: TOKEN,
        TRACE_PARENT_HEADER: TRACE,
    }
    assert len(found.headers) == 3
    assert found.timestamp_ms == position.timestamp_ms


async def test_a_record_that_no_caller_caused_has_no_header_for_one(
    publisher: Publisher, log: Log, query: str
) -> None:
    position = await publisher.publish(StageReport(), key=query, identity_token=b"")
    found = await log(StageReport, position, query)
    assert [name for name, _ in found.headers] == [RECORD_TYPE_HEADER]


def test_there_is_an_example_of_every_record() -> None:
    assert set(EXAMPLES) == {spec.record for spec in TOPICS}


async def test_a_record_without_a_trace_has_no_header_for_it(
    publisher: Publisher, log: Log, query: str
) -> None:
    position = await publisher.publish(delta(query, 1), key=query, identity_token=TOKEN)
    found = await log(AnswerRecord, position, query)
    assert [name for name, _ in found.headers] == [RECORD_TYPE_HEADER, IDENTITY_HEADER]


async def test_records_of_one_key_land_in_the_order_of_the_calls(
    settings: KafkaSettings, query: str
) -> None:
    # A fresh publisher: its first calls wait for the partition count side by side.
    async with Publisher(settings) as publisher:
        first = [publish_later(publisher, query, n) for n in range(200)]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        rest = [publish_later(publisher, query, n) for n in range(200, 400)]
        positions = await asyncio.gather(*first, *rest)
    offsets = [position.offset for position in positions]
    assert offsets == sorted(offsets)
    assert {position.partition for position in positions} == {partition_for(query, 4)}


async def test_a_call_that_cannot_be_published_holds_up_nobody_behind_it(
    settings: KafkaSettings, query: str
) -> None:
    # A fresh publisher: all three wait for the partition count.
    async with Publisher(settings) as publisher, asyncio.timeout(20):
        calls = [
            publisher.publish(delta(query, 1), key=key, identity_token=TOKEN)
            for key in (query, "half a pair: \ud800", query)
        ]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Position, UnicodeEncodeError, Position]


def publish_later(publisher: Publisher, query: str, sequence: int) -> asyncio.Future[Position]:
    return publisher.publish(delta(query, sequence), key=query, identity_token=TOKEN)


async def test_the_partition_key_decides_where_a_record_goes(
    publisher: Publisher, query: str
) -> None:
    for tail in ("a", "b", "c", "d"):
        position = await publisher.publish(
            EXAMPLES[DocumentRecord],
            key=f"{query}@{tail}",
            partition_key=query,
            identity_token=TOKEN,
        )
        assert position.partition == partition_for(query, 4)


async def test_a_tombstone_is_a_null_value_without_headers(
    publisher: Publisher, log: Log, query: str
) -> None:
    position = await publisher.tombstone(DocumentRecord, key=query, partition_key=query)
    found = await log(DocumentRecord, position, query)
    assert found.value is None
    assert found.headers == ()


async def test_the_largest_record_is_taken_and_one_byte_more_is_refused(
    publisher: Publisher, query: str
) -> None:
    spec = topic_of(DocumentRecord)
    room = MAX_RECORD_BYTES - 1024 - len(TOKEN)
    position = await publisher.publish_value(
        spec, b"x" * room, key=query, identity_token=TOKEN, trace_parent=TRACE
    )
    assert position.topic == spec.name
    with pytest.raises(RecordTooLarge) as refusal:
        await publisher.publish_value(spec, b"x" * (room + 1), key=query, identity_token=TOKEN)
    assert refusal.value.metadata == {"limit_bytes": str(MAX_RECORD_BYTES)}


async def test_a_key_that_outgrows_the_limit_is_refused_as_too_large(
    publisher: Publisher, query: str
) -> None:
    room = MAX_RECORD_BYTES - 1024 - len(TOKEN)
    with pytest.raises(RecordTooLarge):
        await publisher.publish_value(
            topic_of(DocumentRecord), b"x" * room, key=query + "k" * 4096, identity_token=TOKEN
        )


async def test_a_full_queue_is_said_at_once_and_loses_nothing_before(
    settings: KafkaSettings, query: str
) -> None:
    narrow = settings.model_copy(
        update={"options": {**settings.options, "queue.buffering.max.messages": 10}}
    )
    async with Publisher(narrow) as publisher:
        await publisher.partition_count(AnswerRecord)
        tasks = [publish_later(publisher, query, n) for n in range(500)]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    landed = [outcome for outcome in outcomes if isinstance(outcome, Position)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, LogUnavailable)]
    assert landed
    assert refused
    assert len(landed) + len(refused) == 500
    assert "more slowly" in str(refused[0])


async def test_a_caller_that_leaves_disturbs_nobody(publisher: Publisher, query: str) -> None:
    leaving = [publish_later(publisher, query, n) for n in range(50)]
    await asyncio.sleep(0)
    for task in leaving[::2]:
        task.cancel()
    staying = await asyncio.gather(*leaving[1::2])
    assert len(staying) == 25
    assert await publisher.publish(delta(query, 99), key=query, identity_token=TOKEN)


async def test_leaving_waits_for_what_was_given(settings: KafkaSettings, query: str) -> None:
    async with Publisher(settings) as publisher:
        await publisher.partition_count(AnswerRecord)
        tasks = [publish_later(publisher, query, n) for n in range(100)]
        await asyncio.sleep(0)
    assert len(await asyncio.gather(*tasks)) == 100


async def test_the_broker_dates_an_answer(publisher: Publisher, log: Log, query: str) -> None:
    record = delta(query, 1)
    record.event.time.FromSeconds(1)
    position = await publisher.publish(record, key=query, identity_token=TOKEN)
    found = await log(AnswerRecord, position, query)
    assert found.timestamp_ms == position.timestamp_ms
    assert found.timestamp_ms > 1_600_000_000_000
