"""Two writers of one answer: the one that was taken for dead spoils nothing of the other's."""

import asyncio
from typing import Any

import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from forebay.query.v1 import AnswerEvent, Query
from forebay_kafka.answer_fold import AnswerFold
from forebay_kafka.query_view import query_of
from forebay_workers.generation.stage import Generation
from forebay_workers.models.errors import ModelUnavailable
from forebay_workers.models.generation_model import Finished, FinishReason, TextDelta
from forebay_workers.record_loop.errors import DeadlinePassed
from forebay_workers.stage_failure import StageFailure

from .answer_log import AnswerLog
from .test_generation_stage import ANSWER, NAME, ScriptedModel, generation, work


@pytest.fixture(autouse=True)
def _brief_yields(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("answer_writer", "generation.answer_in_progress", "retrieval.stage"):
        monkeypatch.setattr(f"forebay_workers.{module}.YIELD_SECONDS", 0.05)


@pytest.fixture
def log() -> AnswerLog:
    return AnswerLog()


def willing(*parts: Any, broken: int = 0) -> ScriptedModel:
    model = ScriptedModel(*(parts or ANSWER), broken=broken)
    model.go_on.set()
    return model


def other(sequence: int, attempt: str = "other", **kind: Any) -> AnswerEvent:
    """What another process writes."""
    return AnswerEvent(query=NAME, attempt=attempt, sequence=sequence, **kind)


OPENING = other(1, restarted=AnswerEvent.Restarted())
WORD = other(2, delta=AnswerEvent.Delta(text="Ten."))
CANCELLED = AnswerEvent(query=NAME, cancelled=AnswerEvent.Cancelled())
COMPLETED = other(3, completed=AnswerEvent.Completed(answer="Ten."))


def as_read(log: AnswerLog) -> Query:
    """The query as its readers see it, whose deltas make the answer."""
    fold = AnswerFold()
    counted = [event for event in log.events if fold.counts(event)]
    query = query_of(NAME, counted)
    if query.state == Query.STATE_COMPLETED:
        assert query_of(NAME, counted[:-1]).answer == query.answer
    return query


async def test_who_gives_up_ends_nothing_of_its_successors(log: AnswerLog) -> None:
    zombie = generation(willing(broken=1), log)
    with pytest.raises(StageFailure):
        await zombie.process(work())
    log.append(OPENING)
    log.append(WORD)
    giving_up = asyncio.ensure_future(zombie.give_up(work(), DeadlinePassed()))
    await asyncio.sleep(0)
    log.append(COMPLETED)
    await giving_up
    assert as_read(log).state == Query.STATE_COMPLETED


async def test_who_gives_up_what_it_never_began_ends_nothing_of_its_successors(
    log: AnswerLog,
) -> None:
    log.append(OPENING)
    giving_up = asyncio.ensure_future(generation(willing(), log).give_up(work(), DeadlinePassed()))
    await asyncio.sleep(0)
    log.append(WORD)
    log.append(COMPLETED)
    await giving_up
    assert as_read(log).answer == "Ten."


async def test_a_failure_belongs_to_the_attempt_that_its_writer_has_open(log: AnswerLog) -> None:
    stage = generation(willing(broken=1), log)
    with pytest.raises(StageFailure):
        await stage.process(work())
    await stage.give_up(work(), ModelUnavailable())
    assert log.written == ["restarted", "retrieved", "failed"]
    assert as_read(log).state == Query.STATE_FAILED
    assert len({event.attempt for event in log.events}) == 1


async def test_a_failure_behind_a_gap_belongs_to_an_attempt_of_its_own(log: AnswerLog) -> None:
    stage = generation(willing(), log)
    log.fails = lambda kind: kind == "delta"
    with pytest.raises(Exception, match="down"):
        await stage.process(work())
    await stage.give_up(work(), ModelUnavailable())
    assert log.written == ["restarted", "retrieved", "UsageRecord", "restarted", "failed"]
    assert as_read(log).state == Query.STATE_FAILED


async def test_what_a_dead_worker_began_is_failed_by_the_next_one(log: AnswerLog) -> None:
    log.append(OPENING)
    await asyncio.sleep(0)
    await generation(willing(), log).give_up(work(), DeadlinePassed())
    assert log.written == ["restarted", "failed"]
    assert as_read(log).state == Query.STATE_FAILED


async def test_a_failure_that_a_zombie_overtakes_is_written_again(log: AnswerLog) -> None:
    def overtaken(kind: str) -> bool:
        if kind == "failed" and not log.events:
            log.append(OPENING)
        return False

    log.fails = overtaken
    await generation(willing(), log).give_up(work(), DeadlinePassed())
    assert log.written == ["failed", "restarted", "failed"]
    assert as_read(log).state == Query.STATE_FAILED


async def test_an_answer_that_a_zombie_overtakes_is_written_again_and_paid_for_once(
    log: AnswerLog,
) -> None:
    model = ScriptedModel(TextDelta("Nine "), TextDelta("metres."), Finished(FinishReason.STOP))
    writing = asyncio.ensure_future(generation(model, log).process(work()))
    await model.stopped.wait()
    log.append(OPENING)
    log.append(WORD)
    model.go_on.set()
    await writing
    query = as_read(log)
    assert (query.state, query.answer) == (Query.STATE_COMPLETED, "Nine metres.")
    assert model.calls == 1


async def test_an_answer_that_a_zombie_overtakes_at_its_very_end_is_written_again(
    log: AnswerLog,
) -> None:
    def overtaken(kind: str) -> bool:
        if kind == "completed" and OPENING not in log.events:
            log.append(OPENING)
        return False

    log.fails = overtaken
    model = willing()
    await generation(model, log).process(work())
    assert (as_read(log).answer, model.calls) == ("Nine metres.", 1)


async def test_an_answer_that_another_ends_meanwhile_is_left_to_it(log: AnswerLog) -> None:
    model = ScriptedModel(*[TextDelta("word ")] * 50, *ANSWER)
    writing = asyncio.ensure_future(generation(model, log).process(work()))
    await model.stopped.wait()
    for event in (OPENING, WORD, COMPLETED):
        log.append(event)
    await writing
    assert (as_read(log).answer, model.closed) == ("Ten.", 1)


@pytest.mark.parametrize(
    "end",
    [[OPENING, WORD, COMPLETED], [AnswerEvent(query=NAME, cancelled=AnswerEvent.Cancelled())]],
)
async def test_a_sleeper_pays_for_nothing_that_ended_meanwhile(
    log: AnswerLog, end: list[AnswerEvent]
) -> None:
    model = willing()
    for event in end:
        log.append(event, unseen=True)
    await generation(model, log).process(work())
    assert model.calls == 0


async def test_a_sleeper_that_finds_another_at_work_waits_before_it_pays(log: AnswerLog) -> None:
    model = willing()
    log.append(OPENING, unseen=True)
    stage = generation(model, log)
    writing = asyncio.ensure_future(stage.process(work()))
    # Its group tells it meanwhile that it is out.
    await asyncio.sleep(0.02)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert model.calls == 0


async def test_the_fourth_attempt_is_none(log: AnswerLog) -> None:
    for name in ("x", "y", "z"):
        log.append(other(1, name, restarted=AnswerEvent.Restarted()))
    await asyncio.sleep(0)
    model = willing()
    stage: Generation = generation(model, log)
    with pytest.raises(Exception, match="every attempt") as error:
        await stage.process(work())
    await stage.give_up(work(), error.value)
    assert model.calls == 0
    assert reason_of(as_read(log).error) == "ATTEMPTS_EXHAUSTED"


def reason_of(status: Status) -> str:
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason
