import asyncio
from dataclasses import replace
from typing import Any

from forebay_workers.record_loop.stage import Retry, Work

from .bench import PROMPT, Bench
from .failures import Failing
from .memory_log import MemoryLog
from .minting import Mint
from .scripted_stage import ScriptedStage
from .test_commits import blocks


async def test_a_drain_finishes_what_runs_commits_it_and_leaves_the_rest(bench: Bench) -> None:
    script, gate = blocks("a@0", "b@0")
    stage = ScriptedStage(script)
    member = bench.start(stage, replace(PROMPT, max_in_flight=2))
    await bench.queries("a@0", "b@0", "c@0", "d@0")
    await stage.until(lambda: stage.running == 2)
    member.stop.set()
    asyncio.get_running_loop().call_later(0.05, gate.set)
    await member.task
    assert sorted(stage.done) == ["a@0", "b@0"]
    await bench.until_committed(2)

    second = ScriptedStage()
    bench.start(second)
    await bench.until_committed(4)
    assert sorted(second.started) == ["c@0", "d@0"]


async def test_what_outlasts_the_drain_is_cancelled_and_comes_again(bench: Bench) -> None:
    script, _ = blocks("b@0")
    stage = ScriptedStage(script)
    member = bench.start(stage, replace(PROMPT, drain_timeout=0.05))
    await bench.queries("a@0", "b@0", "c@0")
    await stage.until(lambda: len(stage.done) == 2)
    await member.drain()
    assert stage.running == 0
    await bench.until_committed(1)

    second = ScriptedStage()
    bench.start(second)
    await bench.until_committed(3)
    assert sorted(second.started) == ["b@0", "c@0"]


async def test_a_drain_does_not_wait_for_a_record_between_two_attempts(bench: Bench) -> None:
    async def fail(_: Work[Any]) -> None:
        raise Failing(Retry.UNTIL_BACK, retry_after=3600)

    stage = ScriptedStage(fail)
    member = bench.start(stage, replace(PROMPT, drain_timeout=3600))
    await bench.queries("a@0")
    await stage.until(lambda: stage.started == ["a@0"] and stage.running == 0)
    await member.drain()
    assert await bench.committed() == {}


async def test_a_record_that_fails_during_the_drain_is_left_to_the_next_member(
    bench: Bench,
) -> None:
    gate = asyncio.Event()

    async def fail(_: Work[Any]) -> None:
        await gate.wait()
        raise Failing(Retry.BRIEFLY)

    stage = ScriptedStage(fail)
    member = bench.start(stage, replace(PROMPT, drain_timeout=3600))
    await bench.queries("a@0")
    await stage.until(lambda: stage.running == 1)
    member.stop.set()
    asyncio.get_running_loop().call_later(0.05, gate.set)
    await member.task
    assert stage.started == ["a@0"]
    assert await bench.committed() == {}
    assert await bench.dead_letters() == []


async def test_a_draining_member_begins_nothing_of_partitions_that_it_still_gets(
    memory_log: MemoryLog, mint: Mint
) -> None:
    async with Bench(memory_log, mint, "forebay.test") as bench:
        script, gate = blocks(*(f"p{partition}@0" for partition in range(4)))
        first, second = ScriptedStage(script), ScriptedStage(script)
        one, two = bench.start(first), bench.start(second)
        await first.until(lambda: first.ownership != [] and second.ownership != [])
        for partition in range(4):
            await bench.queries(f"p{partition}@0", partition=partition)
        await first.until(lambda: first.running == 2)
        one.stop.set()
        await two.crash()
        await first.until(lambda: len(one.loop.snapshot().partitions) == 4)
        gate.set()
        await one.task
        assert sorted(first.started) == sorted(first.done)
        assert len(first.started) == 2
