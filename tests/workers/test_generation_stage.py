"""Generation writes an answer once, pays no more than it must, and ends it for good."""

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import pytest

from forebay.policy.v1 import Visibility
from forebay.query.v1 import AnswerEvent
from forebay.records.v1 import ContextRecord
from forebay_kafka.envelope import Envelope, Statement
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.identity import GenerationLimits, Identity
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import Received
from forebay_workers.generation.stage import Generation
from forebay_workers.ledger.output_tail import OutputTail
from forebay_workers.models.errors import ModelUnavailable
from forebay_workers.models.generation_model import (
    AnswerPart,
    Finished,
    FinishReason,
    GenerationModel,
    GenerationRequest,
    TextDelta,
    TokenUsage,
)
from forebay_workers.record_loop.errors import DeadlinePassed
from forebay_workers.record_loop.stage import Work
from forebay_workers.stage_failure import StageFailure

from .answer_log import AnswerLog

NAME = "queries/abc"
IDENTITY = Identity(
    issuer="https://id.example",
    tenant="acme",
    subject="ada",
    tier="standard",
    clearance=Visibility.VISIBILITY_INTERNAL,
    groups=(),
    limits=GenerationLimits("", 100, 1_000),
    policy_version="1",
)
CONTEXT = ContextRecord(name=NAME, text="How deep?")
SOURCE = Received("forebay.contexts.v1", 0, 7, 0, NAME.encode(), b"", ())
ANSWER = (TextDelta("Nine metres."), Finished(FinishReason.STOP))


def work(attempt: int = 1) -> Work[ContextRecord]:
    envelope = Envelope(IDENTITY, "", "", Statement(NAME), 0)
    return Work(CONTEXT, envelope, b"token", None, SOURCE, attempt, None)


class ScriptedModel:
    """Says its parts; stops for `go_on` behind the first one, and fails `broken` times before."""

    def __init__(self, *parts: AnswerPart, broken: int = 0) -> None:
        self.calls = 0
        self.closed = 0
        self.said = 0
        self.stopped = asyncio.Event()
        self.go_on = asyncio.Event()
        self._parts = parts
        self._broken = broken

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[AnswerPart, None]:
        assert request.question == CONTEXT.text
        self.calls += 1
        try:
            if self.calls <= self._broken:
                raise ModelUnavailable
            for part in self._parts:
                yield part
                self.said += 1
                self.stopped.set()
                await self.go_on.wait()
                await asyncio.sleep(0)
        finally:
            self.closed += 1


def generation(model: ScriptedModel, log: AnswerLog) -> Generation:
    return Generation(
        cast("GenerationModel", model),
        cast("Publisher", log),
        log.ledger,
        cast("OutputTail", None),
    )


@pytest.fixture
def model() -> ScriptedModel:
    model = ScriptedModel(*ANSWER)
    model.go_on.set()
    return model


async def test_an_answer_that_was_given_up_is_not_begun_again(model: ScriptedModel) -> None:
    log = AnswerLog()
    stage = generation(model, log)
    await stage.give_up(work(), DeadlinePassed())
    await stage.process(work())
    await stage.give_up(work(), DeadlinePassed())
    assert (log.written, model.calls) == (["failed"], 0)


async def test_an_answer_that_is_whole_is_not_written_again(model: ScriptedModel) -> None:
    log = AnswerLog()
    stage = generation(model, log)
    for _ in range(2):
        await stage.process(work())
    assert log.written == ["restarted", "retrieved", "delta", "completed"]
    assert model.calls == 1


async def test_nobody_pays_for_the_rest_of_an_answer_with_a_gap() -> None:
    model = ScriptedModel(*[TextDelta("word ")] * 100, *ANSWER)
    log = AnswerLog(fails=lambda kind: kind == "delta")
    stage = generation(model, log)
    writing = asyncio.ensure_future(stage.process(work()))
    await model.stopped.wait()
    model.go_on.set()
    with pytest.raises(LogUnavailable):
        await writing
    assert "completed" not in log.written
    assert (model.said < 5, model.closed) == (True, 1)


async def test_a_further_attempt_pays_nothing_before_the_log_is_back(model: ScriptedModel) -> None:
    log = AnswerLog(fails=lambda _: True)
    stage = generation(model, log)
    with pytest.raises(LogUnavailable):
        await stage.process(work(attempt=2))
    assert model.calls == 0
    log.fails = lambda _: False
    await stage.process(work(attempt=3))
    assert (log.written[-1], model.calls) == ("completed", 1)


async def test_a_model_that_failed_before_its_first_word_goes_on_in_the_same_attempt() -> None:
    model = ScriptedModel(*ANSWER, broken=1)
    model.go_on.set()
    log = AnswerLog()
    stage = generation(model, log)
    with pytest.raises(StageFailure):
        await stage.process(work())
    await stage.process(work(attempt=2))
    assert log.written == ["restarted", "retrieved", "delta", "completed"]


async def test_a_cancelled_answer_costs_no_further_word() -> None:
    model = ScriptedModel(*ANSWER)
    log = AnswerLog()
    stage = generation(model, log)
    writing = asyncio.ensure_future(stage.process(work()))
    await model.stopped.wait()
    log.append(AnswerEvent(query=NAME, cancelled=AnswerEvent.Cancelled()))
    await writing
    assert log.written == ["restarted", "retrieved", "delta", "UsageRecord"]
    assert (model.said, model.closed) == (1, 1)


async def test_an_answer_that_was_cut_is_charged_for_what_was_written() -> None:
    model = ScriptedModel(*[TextDelta("word ")] * 100, *ANSWER)
    log = AnswerLog()
    writing = asyncio.ensure_future(generation(model, log).process(work()))
    await model.stopped.wait()
    writing.cancel()
    await asyncio.wait([writing])
    [charged] = log.charged
    assert (charged.name, charged.attempt) == (NAME, log.events[0].attempt)
    assert (charged.usage.input_tokens, charged.usage.output_tokens) == (3, 1)


async def test_an_answer_whose_cost_is_known_is_charged_once() -> None:
    model = ScriptedModel(TextDelta("Nine metres."), TokenUsage("large", 70, 5), *ANSWER[1:])
    model.go_on.set()
    log = AnswerLog()
    await generation(model, log).process(work())
    assert [each.usage.input_tokens for each in log.charged] == [70]
    assert log.written[-1] == "completed"
