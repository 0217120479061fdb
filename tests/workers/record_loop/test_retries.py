import asyncio
from dataclasses import replace
from typing import Any

import pytest

from forebay.errors.v1 import ErrorReason
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.failure import error_info
from forebay_workers.record_loop.errors import DeadlinePassed
from forebay_workers.record_loop.settings import RetryPolicy
from forebay_workers.record_loop.stage import Retry, Work

from .bench import PROMPT, Bench, FastClock, HandClock
from .failures import Failing
from .scripted_stage import ScriptedStage, name_of


def failing(error: Exception, name: str = "a@0") -> ScriptedStage:
    async def script(work: Work[Any]) -> None:
        if name_of(work) == name:
            raise error

    return ScriptedStage(script)


async def test_a_transient_error_is_tried_again_for_its_budget_and_then_given_up(
    bench: Bench,
) -> None:
    stage, clock = failing(Failing(Retry.BRIEFLY)), FastClock()
    bench.start(stage, clock=clock)
    await bench.queries("a@0", "a@1")
    await bench.until_committed(2)
    budget = RetryPolicy().budget
    assert budget - RetryPolicy().longest_delay <= sum(clock.slept) <= budget
    (letter,) = await bench.dead_letters()
    assert letter.attempts == len(clock.slept) + 1 == stage.started.count("a@0")
    assert [name for name, _ in stage.given_up] == ["a@0"]
    assert stage.done == ["a@1"]


async def test_waits_grow_and_differ(memory_bench: Bench) -> None:
    stage, clock = failing(Failing(Retry.BRIEFLY)), FastClock()
    memory_bench.start(stage, clock=clock)
    await memory_bench.queries("a@0")
    await memory_bench.until_committed(1)
    policy = RetryPolicy()
    ceilings = [min(policy.first_delay * 2**n, policy.longest_delay) for n in range(99)]
    assert all(wait <= most for wait, most in zip(clock.slept, ceilings, strict=False))
    assert len(set(clock.slept)) == len(clock.slept)


async def test_poison_that_only_the_stage_sees_is_given_up_at_once(bench: Bench) -> None:
    stage = failing(Failing(Retry.NEVER))
    bench.start(stage)
    await bench.queries("a@0", "a@1")
    await bench.until_committed(2)
    assert stage.started == ["a@0", "a@1"]
    (letter,) = await bench.dead_letters()
    assert letter.attempts == 1


async def test_an_error_that_says_nothing_gets_few_attempts_and_shows_no_content(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    stage, clock = failing(ValueError("secret content")), FastClock()
    bench.start(stage, clock=clock)
    await bench.queries("a@0")
    await bench.until_committed(1)
    (letter,) = await bench.dead_letters()
    assert letter.attempts == RetryPolicy().unknown_attempts
    assert error_info(letter.error).reason == "INTERNAL"
    (line,) = [each for each in caplog.records if each.message == "gave up a record"]
    assert line.__dict__["error"] == "ValueError"
    assert line.__dict__["where"].startswith("test_retries.py:")
    assert "secret" not in str(letter.error) + str(line.__dict__)


@pytest.mark.parametrize("error", [Failing(Retry.UNTIL_BACK), LogUnavailable("away")])
async def test_an_outage_is_waited_out_however_long_it_takes(
    bench: Bench, error: Exception
) -> None:
    down = True

    async def outage(_: Work[Any]) -> None:
        if down:
            raise error

    stage, clock = ScriptedStage(outage), FastClock()
    bench.start(stage, clock=clock)
    await bench.queries("a@0", "b@0")
    await stage.until(lambda: sum(clock.slept) > 10 * RetryPolicy().budget)
    assert await bench.committed() == {}
    down = False
    await bench.until_committed(2)
    assert stage.given_up == []
    assert await bench.dead_letters() == []


async def test_the_owner_is_told_before_the_dead_letter_is_written(bench: Bench) -> None:
    tries = 0

    async def fails_five_times(_: Work[Any]) -> None:
        nonlocal tries
        tries += 1
        assert await bench.dead_letters() == []
        if tries < 6:
            raise Failing(Retry.BRIEFLY)

    stage = failing(Failing(Retry.NEVER))
    stage.give_up_script = fails_five_times
    bench.start(stage, clock=FastClock())
    await bench.queries("a@0", "a@1")
    await bench.until_committed(2)
    assert tries == 6
    assert len(await bench.dead_letters()) == 1


async def test_a_defect_in_giving_up_does_not_stop_the_partition(bench: Bench) -> None:
    async def defect(_: Work[Any]) -> None:
        raise TypeError

    stage = failing(Failing(Retry.NEVER))
    stage.give_up_script = defect
    bench.start(stage, clock=FastClock())
    await bench.queries("a@0", "a@1")
    await bench.until_committed(2)
    assert stage.done == ["a@1"]
    assert len(await bench.dead_letters()) == 1


async def test_an_owner_that_cannot_be_told_for_a_while_holds_up_nobody_else(
    memory_bench: Bench,
) -> None:
    tries = 0

    async def fails_at_first(_: Work[Any]) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Failing(Retry.BRIEFLY)

    stage, clock = failing(Failing(Retry.NEVER)), HandClock()
    stage.give_up_script = fails_at_first
    memory_bench.start(stage, clock=clock)
    await memory_bench.queries("a@0")
    await stage.until(lambda: tries == 1)
    await memory_bench.queries("b@0")
    await stage.until(lambda: stage.done == ["b@0"])
    await clock.advance(RetryPolicy().first_delay)
    await memory_bench.until_committed(2)
    assert tries == 2


async def test_an_owner_that_can_never_be_told_does_not_stop_the_partition(bench: Bench) -> None:
    async def locked(_: Work[Any]) -> None:
        raise Failing(Retry.BRIEFLY)

    stage, clock = failing(Failing(Retry.NEVER)), FastClock()
    stage.give_up_script = locked
    bench.start(stage, clock=clock)
    await bench.queries("a@0", "a@1")
    await bench.until_committed(2)
    assert stage.done == ["a@1"]
    assert len(await bench.dead_letters()) == 1
    assert sum(clock.slept) > RetryPolicy().owner_budget - RetryPolicy().longest_delay


async def test_work_that_nobody_waits_for_any_more_is_not_begun(bench: Bench) -> None:
    stage = ScriptedStage()
    member = bench.start(stage)
    await bench.queries("late@0", expires_in=-5)
    await bench.queries("good@0", expires_in=60)
    await bench.until_committed(2)
    assert stage.started == ["good@0"]
    ((name, error),) = stage.given_up
    assert name == "late@0"
    assert isinstance(error, DeadlinePassed)
    assert DeadlinePassed.reason == ErrorReason.ERROR_REASON_QUERY_EXPIRED
    assert await bench.dead_letters() == []
    assert member.loop.snapshot().counts.expired == 1


async def test_a_stage_that_heeds_no_deadline_works_on_what_is_late(memory_bench: Bench) -> None:
    stage = ScriptedStage()
    memory_bench.start(stage, replace(PROMPT, heeds_deadlines=False))
    await memory_bench.queries("late@0", expires_in=-5)
    await memory_bench.until_committed(1)
    assert stage.done == ["late@0"]


async def test_a_call_is_cancelled_at_its_deadline(bench: Bench) -> None:
    class AlmostLate(FastClock):
        def wall_time(self) -> float:
            return super().wall_time() + 59.8

    stage = ScriptedStage(lambda _: asyncio.Event().wait())  # type: ignore[arg-type,return-value]
    bench.start(stage, clock=AlmostLate())
    await bench.queries("a@0", expires_in=61)
    await bench.until_committed(1)
    assert stage.running == 0
    assert [type(error) for _, error in stage.given_up] == [DeadlinePassed]
    assert await bench.dead_letters() == []


async def test_an_attempt_that_could_only_begin_after_the_deadline_is_not_waited_for(
    bench: Bench,
) -> None:
    error = Failing(Retry.UNTIL_BACK, retry_after=90)
    stage, clock = failing(error), FastClock()
    bench.start(stage, clock=clock)
    await bench.queries("a@0", expires_in=60)
    await bench.until_committed(1)
    assert clock.slept == []
    assert stage.given_up == [("a@0", error)]
