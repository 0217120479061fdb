from dataclasses import replace
from typing import Any

import pytest
from google.rpc.code_pb2 import Code

from forebay_workers.record_loop.counters import LoopState
from forebay_workers.record_loop.errors import DeadlinePassed
from forebay_workers.record_loop.settings import BreakerPolicy, RetryPolicy
from forebay_workers.record_loop.stage import Retry, Work

from .bench import DOCUMENTS, PROMPT, Bench, FastClock, HandClock
from .failures import Failing
from .scripted_stage import ScriptedDocuments, ScriptedStage, name_of

REFUSED = Failing(Retry.NEVER, code=Code.FAILED_PRECONDITION)
BREAKING = replace(PROMPT, breaker=BreakerPolicy(records=20, share=0.5))


class Endpoint:
    """Something that every record of a stage needs."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error

    async def __call__(self, _: Work[Any]) -> None:
        if self.error is not None:
            raise self.error


async def test_a_stage_whose_records_all_fail_halts_and_loses_nothing_more(bench: Bench) -> None:
    endpoint, clock = Endpoint(REFUSED), FastClock()
    stage = ScriptedDocuments(endpoint)
    member = bench.start(stage, BREAKING, clock)
    await bench.documents(*(f"d{n}" for n in range(300)))
    await stage.until(lambda: len(stage.started) > 1_000)
    assert member.loop.snapshot().state is LoopState.HALTED
    assert len(stage.given_up) == 19
    assert member.loop.snapshot().in_flight <= 1
    endpoint.error = None
    await bench.until_committed(300, topic=DOCUMENTS)
    assert len(stage.given_up) == len(await bench.dead_letters()) == 19
    assert len(set(stage.done)) == len(stage.done) == 281
    assert member.loop.snapshot().state is LoopState.RUNNING


async def test_one_record_at_a_time_tries_for_a_halted_stage_less_and_less_often(
    memory_bench: Bench,
) -> None:
    stage, clock = ScriptedDocuments(Endpoint(REFUSED)), FastClock()
    member = memory_bench.start(stage, BREAKING, clock)
    await memory_bench.documents(*(f"d{n}" for n in range(100)))
    await stage.until(lambda: member.loop.snapshot().state is LoopState.HALTED)
    await stage.until(lambda: member.loop.snapshot().in_flight <= 1)
    stage.most_running, clock.slept = 0, []
    begun = len(stage.started)
    await stage.until(lambda: len(stage.started) >= begun + 50)
    assert stage.most_running == 1
    assert len(clock.slept) >= 49
    assert max(clock.slept) > RetryPolicy().first_delay
    # Each try is another record's, so that one that cannot succeed does not hold up the stage.
    assert len(set(stage.started[begun : begun + 50])) == 50


async def test_an_outage_that_outlasts_the_attempts_in_place_puts_off_few_records(
    bench: Bench,
) -> None:
    endpoint, clock = Endpoint(Failing(Retry.BRIEFLY)), FastClock()
    stage = ScriptedDocuments(endpoint)
    retry = RetryPolicy(budget=1, rounds=(30, 120, 600))
    member = bench.start(stage, replace(BREAKING, retry=retry), clock)
    await bench.documents(*(f"d{n}" for n in range(100)))
    await stage.until(lambda: sum(clock.slept) > 3_600)
    endpoint.error = None
    await bench.until_committed(100, topic=DOCUMENTS)
    await stage.until(lambda: len(set(stage.done)) == 100)
    assert member.loop.snapshot().counts.put_off <= 3 * 20
    assert await bench.dead_letters() == []


@pytest.mark.parametrize(
    "error", [Failing(Retry.NEVER, code=Code.INVALID_ARGUMENT), ValueError("a defect")]
)
async def test_records_that_are_to_blame_themselves_halt_nothing(
    bench: Bench, error: Exception
) -> None:
    stage = ScriptedDocuments(Endpoint(error))
    bench.start(stage, BREAKING, FastClock())
    await bench.documents(*(f"d{n}" for n in range(60)))
    await bench.until_committed(60, topic=DOCUMENTS)
    assert len(await bench.dead_letters()) == 60


async def test_half_of_the_records_may_fail(bench: Bench) -> None:
    async def every_other(work: Work[Any]) -> None:
        if int(name_of(work)[1:]) % 2:
            raise REFUSED

    stage = ScriptedDocuments(every_other)
    bench.start(stage, replace(BREAKING, max_in_flight=1))
    await bench.documents(*(f"d{n}" for n in range(100)))
    await bench.until_committed(100, topic=DOCUMENTS)
    assert len(await bench.dead_letters()) == 50


async def test_poison_goes_through_a_halted_stage(bench: Bench) -> None:
    stage, clock = ScriptedDocuments(Endpoint(REFUSED)), FastClock()
    member = bench.start(stage, BREAKING, clock)
    await bench.documents(*(f"d{n}" for n in range(30)))
    await stage.until(lambda: member.loop.snapshot().state is LoopState.HALTED)
    poison = bench.mint.document("poison").without_headers()
    await bench.log.append(DOCUMENTS, 1, [poison])
    await bench.until_committed(*member_offsets(19), topic=DOCUMENTS)
    assert member.loop.snapshot().state is LoopState.HALTED


def member_offsets(given_up: int) -> tuple[int, int]:
    return given_up, 1


async def test_queries_end_at_their_deadline_in_a_halted_stage(bench: Bench) -> None:
    stage, clock = ScriptedStage(Endpoint(REFUSED)), HandClock()
    member = bench.start(stage, BREAKING, clock)
    await bench.queries(*(f"q{n}@0" for n in range(50)), expires_in=60)
    await stage.until(lambda: member.loop.snapshot().state is LoopState.HALTED)
    await stage.until(lambda: member.loop.snapshot().in_flight == 0)
    assert member.loop.snapshot().waiting == 31
    await clock.advance(61)
    await bench.until_committed(50)
    ends = [type(error) for _, error in stage.given_up]
    assert ends.count(DeadlinePassed) == 31
    assert len(await bench.dead_letters()) == 19
