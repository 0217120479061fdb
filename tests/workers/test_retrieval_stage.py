"""Retrieval looks once for a question, and ends for good what it cannot answer."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
from google.protobuf.message import Message

from forebay.policy.v1 import Visibility
from forebay.query.v1 import SubmitQueryRequest
from forebay.records.v1 import AnswerRecord, QueryRecord
from forebay_kafka.envelope import Envelope, Statement
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.identity import GenerationLimits, Identity
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import Received, RecordReader
from forebay_workers.ledger.answers import AnswerLedger
from forebay_workers.ledger.names import SeenNames
from forebay_workers.record_loop.errors import DeadlinePassed
from forebay_workers.record_loop.stage import Work
from forebay_workers.retrieval.search import Search
from forebay_workers.retrieval.stage import Retrieval

NAME = "queries/abc"
ANSWER, PASSAGES = SubmitQueryRequest.MODE_ANSWER, SubmitQueryRequest.MODE_RETRIEVE_ONLY


class EmptySearch:
    def __init__(self) -> None:
        self.calls = 0

    async def passages(self, *_: object) -> Sequence[object]:
        self.calls += 1
        return ()


class WrittenLog:
    """A Publisher that keeps what it is given, unless it is `down`."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.down = False

    def publish(self, message: Message, **_: object) -> asyncio.Future[None]:
        landed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.down:
            landed.set_exception(LogUnavailable("down"))
            return landed
        event = message.event.WhichOneof("event") if isinstance(message, AnswerRecord) else None
        self.written.append(event or type(message).__name__)
        landed.set_result(None)
        return landed


def work(mode: SubmitQueryRequest.Mode.ValueType = ANSWER) -> Work[QueryRecord]:
    identity = Identity(
        "i", "acme", "ada", "t", Visibility.VISIBILITY_PUBLIC, (), GenerationLimits("", 1, 1), "1"
    )
    record = QueryRecord(name=NAME, request=SubmitQueryRequest(text="How deep?", mode=mode))
    envelope = Envelope(identity, "", "", Statement(NAME), 0)
    source = Received("forebay.queries.v1", 0, 0, 0, NAME.encode(), b"", ())
    return Work(record, envelope, b"token", None, source, 1, None)


@pytest.fixture
def search() -> EmptySearch:
    return EmptySearch()


@pytest.fixture
def log() -> WrittenLog:
    return WrittenLog()


@pytest.fixture
def stage(search: EmptySearch, log: WrittenLog) -> Retrieval:
    ledger = AnswerLedger(cast("RecordReader", None))
    return Retrieval(cast("Search", search), cast("Publisher", log), ledger, SeenNames(), ())


@pytest.mark.parametrize(
    ("mode", "written"),
    [(ANSWER, ["ContextRecord"]), (PASSAGES, ["restarted", "retrieved", "completed"])],
)
async def test_a_question_that_comes_twice_is_looked_up_once(
    stage: Retrieval,
    search: EmptySearch,
    log: WrittenLog,
    mode: SubmitQueryRequest.Mode.ValueType,
    written: list[str],
) -> None:
    for _ in range(2):
        await stage.process(work(mode))
    await stage.give_up(work(mode), DeadlinePassed())
    assert (log.written, search.calls) == (written, 1)


async def test_a_question_that_was_given_up_is_not_looked_up_again(
    stage: Retrieval, search: EmptySearch, log: WrittenLog
) -> None:
    await stage.give_up(work(), DeadlinePassed())
    await stage.process(work())
    await stage.give_up(work(), DeadlinePassed())
    assert (log.written, search.calls) == (["failed"], 0)


@pytest.mark.parametrize("mode", [ANSWER, PASSAGES])
async def test_what_the_log_did_not_take_is_done_again(
    stage: Retrieval, log: WrittenLog, mode: SubmitQueryRequest.Mode.ValueType
) -> None:
    log.down = True
    with pytest.raises(LogUnavailable):
        await stage.process(work(mode))
    with pytest.raises(LogUnavailable):
        await stage.give_up(work(mode), DeadlinePassed())
    log.down = False
    await stage.process(work(mode))
    assert log.written[-1] in {"ContextRecord", "completed"}
