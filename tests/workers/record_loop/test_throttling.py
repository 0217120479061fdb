import asyncio
from dataclasses import replace
from typing import Any

from forebay_workers.record_loop.counters import LoopState
from forebay_workers.record_loop.errors import DeadlinePassed
from forebay_workers.record_loop.retry import Backoff
from forebay_workers.record_loop.settings import RetryPolicy
from forebay_workers.record_loop.stage import Retry, Work
from forebay_workers.record_loop.throttle import Throttle

from .bench import DOCUMENTS, PROMPT, Bench, FastClock, HandClock, RunningMember
from .failures import Failing
from .scripted_stage import ScriptedDocuments, ScriptedStage, name_of


def is_throttled(member: RunningMember, clock: HandClock, *, waiting: int) -> bool:
    """Whether a service complained, all calls that it met are over, and the stage waits."""
    now = member.loop.snapshot()
    rests = now.in_flight == 0 and now.waiting == waiting and clock.sleepers == 1
    return now.state is LoopState.THROTTLED and rests


async def test_nothing_starts_before_the_time_that_a_throttling_service_asks_for(
    bench: Bench,
) -> None:
    clock, complaints = HandClock(), 1

    async def throttled_once(_: Work[Any]) -> None:
        nonlocal complaints
        if complaints:
            complaints -= 1
            raise Failing(Retry.THROTTLED, retry_after=50)

    stage = ScriptedDocuments(throttled_once)
    member = bench.start(stage, replace(PROMPT, max_in_flight=1), clock)
    await bench.documents(*(f"d{n}" for n in range(20)))
    await stage.until(lambda: is_throttled(member, clock, waiting=20))
    await clock.advance(49)
    assert len(stage.started) == 1
    assert member.loop.snapshot().in_flight == 0
    await clock.advance(1.1)
    await bench.until_committed(20, topic=DOCUMENTS)
    await clock.advance(60)
    assert member.loop.snapshot().state is LoopState.RUNNING
    # It kept its place at the head of its lane, and its first attempt counts.
    assert stage.started[0] in stage.started[1:]


async def test_documents_wait_out_throttling_however_long_it_takes(bench: Bench) -> None:
    complaints = 300

    async def throttled(_: Work[Any]) -> None:
        nonlocal complaints
        if complaints:
            complaints -= 1
            raise Failing(Retry.THROTTLED, retry_after=30)

    stage, clock = ScriptedDocuments(throttled), FastClock()
    bench.start(stage, replace(PROMPT, retry=RetryPolicy(rounds=(1,))), clock)
    await bench.documents(*(f"d{n}" for n in range(10)))
    await bench.until_committed(10, topic=DOCUMENTS)
    assert sum(clock.slept) > 30 * 30
    assert stage.given_up == []
    assert await bench.dead_letters() == []


async def test_calls_that_failed_together_slow_the_stage_down_once_and_success_speeds_it_up(
    memory_bench: Bench,
) -> None:
    complaining = True
    together, slowed_down = asyncio.Barrier(8), asyncio.Barrier(4)
    before_success: list[int] = []
    running: list[int] = []

    async def eight_at_once(_: Work[Any]) -> None:
        if complaining:
            await together.wait()
            raise Failing(Retry.THROTTLED, retry_after=1)
        if not stage.done:  # one success lets two start in the place of one
            before_success.append(stage.running)
            await slowed_down.wait()
        running.append(stage.running)
        await asyncio.sleep(0.02)  # so long that all that may start meets

    stage, clock = ScriptedDocuments(eight_at_once), HandClock()
    member = memory_bench.start(stage, replace(PROMPT, max_in_flight=8), clock)
    await memory_bench.documents(*(f"d{n}" for n in range(200)))
    await stage.until(lambda: is_throttled(member, clock, waiting=200))
    complaining = False
    await clock.advance(2)
    await stage.until(lambda: len(stage.done) == 200)
    assert before_success == [1, 2, 3, 4]
    assert 4 < max(running) <= 8


async def test_another_tenant_is_next_when_a_throttled_stage_goes_on(memory_bench: Bench) -> None:
    complaining = True

    async def throttled(_: Work[Any]) -> None:
        if complaining:
            raise Failing(Retry.THROTTLED, retry_after=10)

    stage, clock = ScriptedDocuments(throttled), HandClock()
    member = memory_bench.start(stage, replace(PROMPT, max_in_flight=4), clock)
    await memory_bench.documents(*(f"d{n}" for n in range(100)), tenant="big")
    await stage.until(lambda: is_throttled(member, clock, waiting=100))
    await memory_bench.documents("small", tenant="small")
    await stage.until(lambda: member.loop._schedule.waiting == 101)
    complaining = False
    await clock.advance(11)
    await stage.until(lambda: "small" in stage.done)
    assert stage.done.index("small") <= 2


async def test_a_query_of_a_throttled_stage_ends_at_its_deadline(bench: Bench) -> None:
    async def throttled(work: Work[Any]) -> None:
        if name_of(work) == "a@0":
            raise Failing(Retry.THROTTLED, retry_after=100)

    stage, clock = ScriptedStage(throttled), HandClock()
    member = bench.start(stage, clock=clock)
    await bench.queries("a@0", expires_in=3600)
    await stage.until(lambda: member.loop.snapshot().state is LoopState.THROTTLED)
    await bench.queries("b@0", expires_in=60)
    await stage.until(lambda: member.loop.snapshot().waiting == 2)
    await clock.advance(61)
    await stage.until(lambda: len(stage.given_up) == 1)
    assert (stage.given_up[0][0], type(stage.given_up[0][1])) == ("b@0", DeadlinePassed)
    assert stage.started == ["a@0"]
    assert await bench.dead_letters() == []


async def test_complaints_about_calls_that_ran_side_by_side_count_as_one() -> None:
    clock = HandClock()
    throttle = Throttle(16, Backoff(RetryPolicy()), clock)
    with throttle.call(), throttle.call(), throttle.call():
        began = clock.now()
        await clock.advance(1)
        for _ in range(4):
            throttle.slow_down(Failing(Retry.THROTTLED), began=began)
        assert throttle.limit == 2
        throttle.slow_down(Failing(Retry.THROTTLED, retry_after=9), began=began)
        assert throttle.wait() == 9
        throttle.succeeded(began=began)
        assert throttle.limit == 2
        await clock.advance(1)
        began = clock.now()
        throttle.slow_down(Failing(Retry.THROTTLED), began=began)
        assert throttle.limit == 1
    await clock.advance(1)
    for _ in range(1_000):
        throttle.succeeded(began=clock.now())
    assert throttle.limit == 16
