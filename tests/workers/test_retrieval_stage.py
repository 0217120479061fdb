"""Retrieval looks once for a question, and ends for good what it cannot answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest

from forebay.policy.v1 import Visibility
from forebay.query.v1 import AnswerEvent, SubmitQueryRequest
from forebay.records.v1 import ContextRecord, QueryRecord
from forebay_kafka.envelope import Envelope, Statement
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.identity import GenerationLimits, Identity
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import Received, RecordReader, record_type
from forebay_kafka.topics import IDENTITY_HEADER, RECORD_TYPE_HEADER, topic_of
from forebay_workers.ledger.names import SeenNames
from forebay_workers.models.errors import ModelThrottled
from forebay_workers.record_loop.errors import DeadlinePassed
from forebay_workers.record_loop.stage import Retry, Work
from forebay_workers.retrieval.search import Search
from forebay_workers.retrieval.stage import Retrieval
from forebay_workers.stage_failure import StageFailure

from .answer_log import AnswerLog
from .record_loop.minting import Mint, identity_of

NAME = "queries/abc"
MINT = Mint()
ANSWER, PASSAGES = SubmitQueryRequest.MODE_ANSWER, SubmitQueryRequest.MODE_RETRIEVE_ONLY


class EmptySearch:
    def __init__(self) -> None:
        self.calls = 0
        self.error: Exception | None = None

    async def passages(self, *_: object) -> Sequence[object]:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return ()


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
def log() -> AnswerLog:
    return AnswerLog()


@pytest.fixture
def stage(search: EmptySearch, log: AnswerLog) -> Retrieval:
    contexts = SeenNames(RecordReader(MINT.verifier))
    return Retrieval(cast("Search", search), cast("Publisher", log), log.ledger, contexts, ())


@pytest.mark.parametrize(
    ("mode", "written"),
    [(ANSWER, ["ContextRecord"]), (PASSAGES, ["restarted", "retrieved", "completed"])],
)
async def test_a_question_that_comes_twice_is_looked_up_once(
    stage: Retrieval,
    search: EmptySearch,
    log: AnswerLog,
    mode: SubmitQueryRequest.Mode.ValueType,
    written: list[str],
) -> None:
    for _ in range(2):
        await stage.process(work(mode))
    await stage.give_up(work(mode), DeadlinePassed())
    assert (log.written, search.calls) == (written, 1)


async def test_a_question_that_was_given_up_is_not_looked_up_again(
    stage: Retrieval, search: EmptySearch, log: AnswerLog
) -> None:
    await stage.give_up(work(), DeadlinePassed())
    await stage.process(work())
    await stage.give_up(work(), DeadlinePassed())
    assert (log.written, search.calls) == (["failed"], 0)


@pytest.mark.parametrize("mode", [ANSWER, PASSAGES])
async def test_what_the_log_did_not_take_is_done_again(
    stage: Retrieval, log: AnswerLog, mode: SubmitQueryRequest.Mode.ValueType
) -> None:
    log.fails = lambda _: True
    with pytest.raises(LogUnavailable):
        await stage.process(work(mode))
    with pytest.raises(LogUnavailable):
        await stage.give_up(work(mode), DeadlinePassed())
    log.fails = lambda _: False
    await stage.process(work(mode))
    assert log.written[-1] in {"ContextRecord", "completed"}


async def test_passages_that_a_zombie_overtakes_are_written_again(
    stage: Retrieval, search: EmptySearch, log: AnswerLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forebay_workers.retrieval.stage.YIELD_SECONDS", 0.02)
    opening = AnswerEvent(
        query=NAME, attempt="zombie", sequence=1, restarted=AnswerEvent.Restarted()
    )

    def overtaken(kind: str) -> bool:
        if kind == "completed" and opening not in log.events:
            log.append(opening)
        return False

    log.fails = overtaken
    await stage.process(work(PASSAGES))
    assert log.written == ["restarted", "retrieved", "completed"] * 2
    assert search.calls == 1


@pytest.mark.parametrize("mode", [ANSWER, PASSAGES])
async def test_a_cancelled_question_is_not_looked_up(
    stage: Retrieval,
    search: EmptySearch,
    log: AnswerLog,
    mode: SubmitQueryRequest.Mode.ValueType,
) -> None:
    log.append(AnswerEvent(query=NAME, cancelled=AnswerEvent.Cancelled()))
    await asyncio.sleep(0)
    await stage.process(work(mode))
    await stage.give_up(work(mode), DeadlinePassed())
    assert (log.written, search.calls) == ([], 0)


async def test_an_endpoint_that_throttles_slows_the_stage_and_says_for_how_long(
    stage: Retrieval, search: EmptySearch
) -> None:
    search.error = ModelThrottled(7.0)
    with pytest.raises(StageFailure) as failure:
        await stage.process(work())
    assert (failure.value.retry, failure.value.retry_after) == (Retry.THROTTLED, 7.0)


def context(
    name: str = NAME, *, key: str = NAME, mint: Mint = MINT, value: bytes | None = None
) -> Received:
    """A context as retrieval writes it, under the envelope of its question."""
    kind, statement = record_type(QueryRecord), Statement(name)
    token = mint.signer.seal(identity_of("acme"), kind, b"", statement)
    record = ContextRecord(name=name, text="How deep?")
    headers = (
        (RECORD_TYPE_HEADER, record_type(ContextRecord).encode()),
        (IDENTITY_HEADER, token),
    )
    content = record.SerializeToString() if value is None else value
    return Received(topic_of(ContextRecord).name, 0, 0, 0, key.encode(), content, headers)


FORGED_CONTEXTS = {
    "signed by somebody else": context(mint=Mint()),
    "under the key of another": context("queries/other"),
    "with noise": context(value=b"\xff"),
    "without headers": replace(context(), headers=()),
    "with a doubled envelope": replace(
        context(), headers=(*context().headers, context().headers[1])
    ),
}


def test_a_question_is_done_where_its_context_is_proven() -> None:
    names = SeenNames(RecordReader(MINT.verifier))
    names.take(FORGED_CONTEXTS["signed by somebody else"])
    names.take(context())
    assert NAME in names
    assert NAME in names
    assert "queries/other" not in names


@pytest.mark.parametrize("forged", FORGED_CONTEXTS.values(), ids=FORGED_CONTEXTS)
def test_a_context_that_nobody_vouches_for_keeps_no_question_from_its_answer(
    forged: Received,
) -> None:
    names = SeenNames(RecordReader(MINT.verifier))
    names.take(forged)
    assert NAME not in names
    names.take(context())
    assert NAME in names
