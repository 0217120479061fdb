"""What stages gave up, as operators list it, give it back and end it; on a real log."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import grpc
import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from forebay.errors.v1 import ErrorReason
from forebay.pipeline.v1 import DeadLetter as ShownLetter
from forebay.pipeline.v1 import (
    DeadLetterFilter,
    GetPipelineStatusRequest,
    ListDeadLettersRequest,
    PipelineServiceStub,
    PurgeDeadLettersRequest,
    RedriveDeadLettersRequest,
)
from forebay.records.v1 import (
    ChunkSet,
    ContextRecord,
    DeadLetter,
    DocumentRecord,
    RetryRecord,
    Stage,
)
from forebay_kafka.failure import status
from forebay_kafka.partitioning import source_key
from forebay_kafka.publisher import Position, Publisher
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import IDENTITY_HEADER, TRACE_PARENT_HEADER, topic_of

from .calls import bearer, reason_of, status_of
from .conftest import Installation
from .log import LogReader

Metadata = tuple[tuple[str, str], ...]
INVALID = ErrorReason.ERROR_REASON_RECORD_INVALID
SECRET = b"eyJhbGciOi.secret.token"
DOCUMENTS, CHUNKS = topic_of(DocumentRecord).name, topic_of(ChunkSet).name


@pytest.fixture
async def publisher(kafka: KafkaSettings) -> AsyncIterator[Publisher]:
    async with Publisher(kafka) as open_publisher:
        yield open_publisher


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> PipelineServiceStub:
    return PipelineServiceStub(channel)


@pytest.fixture
def operator(installation: Installation) -> Metadata:
    return bearer(installation.token(scope="operate"))


@pytest.fixture
def inspector(installation: Installation) -> Metadata:
    return bearer(installation.token(scope="operate inspect"))


@dataclass(frozen=True)
class Tray:
    """Letters of one tenant, which no other test sees."""

    publisher: Publisher
    tenant: str

    async def put(
        self,
        stage: Stage.ValueType = Stage.STAGE_EMBEDDING,
        *,
        topic: str = CHUNKS,
        offset: int | None = None,
        reason: ErrorReason.ValueType = INVALID,
        value: bytes | None = b"content",
        at: float | None = None,
    ) -> DeadLetter:
        group = "forebay." + Stage.Name(stage).removeprefix("STAGE_").lower()
        letter = DeadLetter(
            stage=stage,
            group=group,
            topic=topic,
            partition=1,
            offset=uuid4().int >> 70 if offset is None else offset,
            key=b"acme/manuals/pump-7@v",
            value=value,
            headers=[
                DeadLetter.RecordHeader(name=IDENTITY_HEADER, value=SECRET),
                DeadLetter.RecordHeader(name=TRACE_PARENT_HEADER, value=b"00-trace"),
            ],
            error=status(9, reason, "cannot be read"),
            attempts=3,
            tenant=self.tenant,
            resource="collections/manuals/documents/pump-7",
            timestamp_ms=1_700_000_000_123,
        )
        letter.give_up_time.FromNanoseconds(int((at or time.time()) * 1e9))
        await self._write(letter)
        return letter

    def _write(self, letter: DeadLetter) -> asyncio.Future[Position]:
        return self.publisher.publish(letter, key=key_of(letter), identity_token=SECRET)

    def filter(self, **fields: object) -> DeadLetterFilter:
        return DeadLetterFilter(tenant=self.tenant, **fields)  # type: ignore[arg-type]


def key_of(letter: DeadLetter) -> str:
    return source_key(letter.group, letter.topic, letter.partition, letter.offset)


def name_of(letter: DeadLetter) -> str:
    return "deadLetters/" + key_of(letter).replace("/", "~")


@pytest.fixture
def tray(publisher: Publisher) -> Tray:
    return Tray(publisher, f"tenant-{uuid4().hex}")


async def listed(
    stub: PipelineServiceStub, metadata: Metadata, wanted: DeadLetterFilter, **fields: object
) -> list[ShownLetter]:
    request = ListDeadLettersRequest(filter=wanted, **fields)  # type: ignore[arg-type]
    page = await stub.ListDeadLetters(request, metadata=metadata, timeout=20)
    return list(page.dead_letters)


def retries(log: LogReader, letter: DeadLetter) -> list[RetryRecord]:
    key = key_of(letter).encode()
    return [
        RetryRecord.FromString(record.value or b"")
        for record in log.read(RetryRecord)
        if record.key == key
    ]


async def test_a_letter_is_listed_at_once_without_what_stands_in_it(
    stub: PipelineServiceStub, operator: Metadata, tray: Tray
) -> None:
    for _ in range(3):  # each call sees what was acknowledged before it
        letter = await tray.put()
        newest = (await listed(stub, operator, tray.filter()))[0]
        assert newest.name == name_of(letter)
    assert newest.stage == "embedding"
    assert (newest.topic, newest.partition, newest.offset) == (CHUNKS, 1, letter.offset)
    assert (newest.tenant, newest.resource) == (tray.tenant, letter.resource)
    assert (newest.attempts, newest.size_bytes) == (3, 7)
    assert reason_of(newest.error) == "RECORD_INVALID"
    assert abs(newest.give_up_time.ToMilliseconds() - letter.give_up_time.ToMilliseconds()) < 2
    assert not newest.HasField("content")
    assert SECRET not in newest.SerializeToString()


async def test_content_needs_a_second_scope_and_never_has_headers(
    stub: PipelineServiceStub, operator: Metadata, inspector: Metadata, tray: Tray
) -> None:
    await tray.put(value=b"the letter's own")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await listed(stub, operator, tray.filter(), include_content=True)
    refusal = status_of(refused.value)
    assert (refusal.code, reason_of(refusal)) == (7, "SCOPE_MISSING")
    [shown] = await listed(stub, inspector, tray.filter(), include_content=True)
    assert (shown.content.key, shown.content.value) == (
        b"acme/manuals/pump-7@v",
        b"the letter's own",
    )
    assert SECRET not in shown.SerializeToString()
    assert not (await listed(stub, inspector, tray.filter()))[0].HasField("content")


async def test_a_page_with_content_fits_one_response(
    stub: PipelineServiceStub, inspector: Metadata, tray: Tray
) -> None:
    for _ in range(5):
        await tray.put(value=b"x" * 1_500_000)
    names, token = [], ""
    while True:
        request = ListDeadLettersRequest(
            filter=tray.filter(), include_content=True, page_size=1000, page_token=token
        )
        page = await stub.ListDeadLetters(request, metadata=inspector)
        assert all(len(letter.content.value) == 1_500_000 for letter in page.dead_letters)
        names += [letter.name for letter in page.dead_letters]
        token = page.next_page_token
        if not token:
            break
    assert len(names) == len(set(names)) == 5


async def test_pages_are_the_newest_first_and_miss_and_repeat_nothing(
    stub: PipelineServiceStub, operator: Metadata, tray: Tray
) -> None:
    base = time.time() - 1000
    letters = [await tray.put(at=base + turn % 4) for turn in range(11)]
    names, times, token, sizes = [], [], "", []
    while True:
        request = ListDeadLettersRequest(filter=tray.filter(), page_size=4, page_token=token)
        page = await stub.ListDeadLetters(request, metadata=operator)
        names += [letter.name for letter in page.dead_letters]
        times += [letter.give_up_time.ToMilliseconds() for letter in page.dead_letters]
        sizes.append(len(page.dead_letters))
        await tray.put(at=time.time())  # what comes meanwhile is newer
        token = page.next_page_token
        if not token:
            break
    assert sizes == [4, 4, 3]
    assert sorted(names) == sorted(name_of(letter) for letter in letters)
    assert times == sorted(times, reverse=True)


async def test_a_page_token_is_good_for_its_own_list_alone(
    stub: PipelineServiceStub, operator: Metadata, tray: Tray
) -> None:
    for _ in range(2):
        await tray.put()
    request = ListDeadLettersRequest(filter=tray.filter(), page_size=1)
    token = (await stub.ListDeadLetters(request, metadata=operator)).next_page_token
    for wanted, changed in (
        (tray.filter(stage="chunking"), token),
        (tray.filter(), token[:-1] + ("0" if token[-1] != "0" else "1")),
        (tray.filter(), "v"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await listed(stub, operator, wanted, page_token=changed)
        assert reason_of(status_of(refused.value)) == "PAGE_TOKEN_INVALID"


async def test_a_filter_keeps_what_fits_everything_that_is_set(
    stub: PipelineServiceStub, operator: Metadata, tray: Tray
) -> None:
    old, early = time.time() - 500, time.time() - 100
    a = await tray.put(Stage.STAGE_CHUNKING, topic=DOCUMENTS, at=old)
    b = await tray.put(reason=ErrorReason.ERROR_REASON_MODEL_UNAVAILABLE, at=early)
    c = await tray.put()
    border = Timestamp()
    border.CopyFrom(b.give_up_time)
    for wanted, expected in (
        (tray.filter(), [c, b, a]),
        (tray.filter(stage="embedding"), [c, b]),
        (tray.filter(reason=ErrorReason.ERROR_REASON_MODEL_UNAVAILABLE), [b]),
        (tray.filter(start_time=border), [c]),
        (tray.filter(end_time=border), [b, a]),
        (tray.filter(stage="chunking", reason=INVALID), [a]),
        (tray.filter(stage="nowhere"), []),
    ):
        found = await listed(stub, operator, wanted)
        assert [letter.name for letter in found] == [name_of(letter) for letter in expected]


async def test_a_record_goes_back_to_the_stage_that_gave_it_up_and_its_letter_ends(
    stub: PipelineServiceStub, operator: Metadata, tray: Tray, log: LogReader
) -> None:
    letters = [await tray.put() for _ in range(4)]
    request = RedriveDeadLettersRequest(filter=tray.filter(), rate=2, validate_only=True)
    counted = await stub.RedriveDeadLetters(request, metadata=operator)
    assert (counted.redriven_count, counted.refused_count) == (4, 0)
    assert not retries(log, letters[0])
    assert len(await listed(stub, operator, tray.filter())) == 4

    before = time.time()
    request.validate_only = False
    done = await stub.RedriveDeadLetters(request, metadata=operator)
    assert (done.redriven_count, done.refused_count) == (4, 0)
    assert await listed(stub, operator, tray.filter()) == []
    due = []
    for letter in letters:
        [retry] = retries(log, letter)
        assert (retry.stage, retry.group) == (letter.stage, letter.group)
        assert (retry.round, retry.attempts) == (0, 0)
        assert not retry.HasField("error")
        source = retry.source
        assert (source.topic, source.partition, source.offset) == (CHUNKS, 1, letter.offset)
        assert (source.key, source.value) == (letter.key, letter.value)
        assert source.timestamp_ms == letter.timestamp_ms
        assert [(h.name, h.value) for h in source.headers] == [
            (h.name, h.value) for h in letter.headers
        ]
        due.append(retry.not_before.ToMilliseconds() / 1000)
    # Two a second, the oldest first.
    assert [round(time - due[0], 2) for time in due] == [0, 0.5, 1, 1.5]
    assert before - 0.1 <= due[0] <= time.time()


async def test_what_belongs_to_a_query_or_has_no_content_stays_a_letter(
    stub: PipelineServiceStub, operator: Metadata, tray: Tray, log: LogReader
) -> None:
    query = await tray.put(Stage.STAGE_GENERATION, topic=topic_of(ContextRecord).name)
    empty = await tray.put(value=None)
    strange = await tray.put(topic=topic_of(RetryRecord).name)
    good = await tray.put()
    request = RedriveDeadLettersRequest(filter=tray.filter())
    done = await stub.RedriveDeadLetters(request, metadata=operator)
    assert (done.redriven_count, done.refused_count) == (1, 3)
    kept = {letter.name for letter in await listed(stub, operator, tray.filter())}
    assert kept == {name_of(letter) for letter in (query, empty, strange)}
    assert len(retries(log, good)) == 1
    assert not any(retries(log, letter) for letter in (query, empty, strange))


async def test_letters_are_chosen_by_name_and_by_filter_together(
    stub: PipelineServiceStub, operator: Metadata, tray: Tray
) -> None:
    a = await tray.put(Stage.STAGE_CHUNKING, topic=DOCUMENTS)
    b, c = await tray.put(), await tray.put()
    names = [name_of(a), name_of(b), name_of(b), "deadLetters/forebay.embedding~nowhere~1~2"]
    request = RedriveDeadLettersRequest(names=names, filter=tray.filter(stage="embedding"))
    done = await stub.RedriveDeadLetters(request, metadata=operator)
    assert (done.redriven_count, done.refused_count) == (1, 0)
    kept = {letter.name for letter in await listed(stub, operator, tray.filter())}
    assert kept == {name_of(a), name_of(c)}


async def test_purged_letters_are_listed_no_more_and_end_in_the_log(
    stub: PipelineServiceStub, operator: Metadata, tray: Tray, log: LogReader
) -> None:
    letters = [await tray.put() for _ in range(3)]
    request = PurgeDeadLettersRequest(names=[name_of(letters[0])], validate_only=True)
    assert (await stub.PurgeDeadLetters(request, metadata=operator)).purged_count == 1
    assert len(await listed(stub, operator, tray.filter())) == 3
    request.validate_only = False
    assert (await stub.PurgeDeadLetters(request, metadata=operator)).purged_count == 1
    assert (await stub.PurgeDeadLetters(request, metadata=operator)).purged_count == 0
    assert len(await listed(stub, operator, tray.filter())) == 2
    request = PurgeDeadLettersRequest(filter=tray.filter())
    assert (await stub.PurgeDeadLetters(request, metadata=operator)).purged_count == 2
    assert await listed(stub, operator, tray.filter()) == []
    ended = {record.key for record in log.read(DeadLetter) if record.value is None}
    assert {key_of(letter).encode() for letter in letters} <= ended
    assert not any(retries(log, letter) for letter in letters)


async def test_many_letters_go_back_in_calls_of_bounded_work(
    stub: PipelineServiceStub, operator: Metadata, tray: Tray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forebay_server.pipeline.letter_changes.MAX_CHANGED", 150)
    monkeypatch.setattr("forebay_server.pipeline.letter_content.MAX_BATCH", 20)
    await asyncio.gather(*(tray.put() for _ in range(400)))
    await tray.put(Stage.STAGE_RETRIEVAL, at=time.time() - 60)  # in front of all others
    request = RedriveDeadLettersRequest(filter=tray.filter(), rate=10_000)
    counts = []
    for _ in range(4):
        done = await stub.RedriveDeadLetters(request, metadata=operator)
        counts.append((done.redriven_count, done.refused_count))
    assert counts == [(150, 1), (150, 1), (100, 1), (0, 1)]


async def test_a_record_that_is_no_letter_stops_nothing(
    stub: PipelineServiceStub, operator: Metadata, tray: Tray
) -> None:
    letters = topic_of(DeadLetter)
    for key, value in (
        ("g/t/0/0", b"\xff\xff"),
        ("other/key/0/0", DeadLetter().SerializeToString()),
    ):
        await tray.publisher.publish_value(letters, value, key=key, identity_token=b"-")
    odd = await tray.put()
    odd.give_up_time.seconds = 10**15  # no time that a client could show
    await tray._write(odd)
    [shown] = await listed(stub, operator, tray.filter())
    assert shown.name == name_of(odd)


async def test_only_the_newest_letters_are_held(
    stub: PipelineServiceStub, operator: Metadata, tray: Tray, monkeypatch: pytest.MonkeyPatch
) -> None:
    await listed(stub, operator, tray.filter())
    monkeypatch.setattr("forebay_server.pipeline.letter_index.MAX_LETTERS", 3)
    letters = [await tray.put() for _ in range(5)]
    found = [letter.name for letter in await listed(stub, operator, tray.filter())]
    assert found == [name_of(letter) for letter in reversed(letters[2:])]


async def test_the_status_counts_the_letters_of_each_stage(
    stub: PipelineServiceStub, operator: Metadata, tray: Tray
) -> None:
    async def count() -> int:
        request = GetPipelineStatusRequest()
        found = await stub.GetPipelineStatus(request, metadata=operator)
        return next(each.dead_letters for each in found.stages if each.stage == "cataloguing")

    before = await count()
    letter = await tray.put(Stage.STAGE_CATALOGUING, topic=DOCUMENTS)
    assert await count() == before + 1
    request = PurgeDeadLettersRequest(names=[name_of(letter)])
    await stub.PurgeDeadLetters(request, metadata=operator)
    assert await count() == before


async def test_a_call_that_selects_nothing_is_refused(
    stub: PipelineServiceStub, operator: Metadata
) -> None:
    for call, request in (
        (stub.RedriveDeadLetters, RedriveDeadLettersRequest()),
        (stub.PurgeDeadLetters, PurgeDeadLettersRequest()),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request, metadata=operator)
        assert reason_of(status_of(refused.value)) == "FIELD_INVALID"
