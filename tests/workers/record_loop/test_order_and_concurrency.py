import asyncio
from typing import Any

from forebay_workers.record_loop.settings import LoopSettings
from forebay_workers.record_loop.stage import Work

from .bench import Bench
from .scripted_stage import ScriptedStage, lane_of, name_of


async def test_records_of_one_lane_run_one_after_another_in_the_order_of_the_log(
    bench: Bench,
) -> None:
    running: set[str] = set()

    async def one_at_a_time(work: Work[Any]) -> None:
        lane = lane_of(name_of(work))
        assert lane not in running
        running.add(lane)
        await asyncio.sleep(0)
        running.remove(lane)

    stage = ScriptedStage(one_at_a_time)
    names = [f"{lane}@{n}" for n in range(20) for lane in "abcde"]
    bench.start(stage)
    await bench.queries(*names)
    await stage.until(lambda: len(stage.done) == len(names))
    for lane in "abcde":
        assert [n for n in stage.done if lane_of(n) == lane] == [f"{lane}@{i}" for i in range(20)]
    assert stage.given_up == []


async def test_three_hundred_slow_records_of_different_lanes_run_at_the_same_time(
    bench: Bench,
) -> None:
    gate = asyncio.Event()

    async def slow(_: Work[Any]) -> None:
        await gate.wait()

    stage = ScriptedStage(slow)
    for partition in range(4):
        names = [f"p{partition}n{n}@0" for n in range(75)]
        await bench.queries(*names, partition=partition)
    member = bench.start(stage)
    await stage.until(lambda: stage.running == 300)
    gate.set()
    await bench.until_committed(75, 75, 75, 75)
    await member.drain()


async def test_no_more_records_run_than_there_are_slots(bench: Bench) -> None:
    stage = ScriptedStage(lambda _: asyncio.sleep(0.05))
    await bench.queries(*(f"n{n}@0" for n in range(50)))
    bench.start(stage, LoopSettings(max_in_flight=7))
    await stage.until(lambda: len(stage.done) == 50)
    assert stage.most_running == 7


async def test_a_tenant_with_one_record_does_not_wait_behind_the_backlog_of_another(
    bench: Bench,
) -> None:
    gate = asyncio.Event()

    async def first_waits(work: Work[Any]) -> None:
        if name_of(work) == "big0@0":
            await gate.wait()

    stage = ScriptedStage(first_waits)
    member = bench.start(stage, LoopSettings(max_in_flight=1))
    await bench.queries(*(f"big{n}@0" for n in range(40)), tenant="big")
    await bench.queries("small@0", tenant="small")
    await stage.until(lambda: member.loop._schedule.waiting == 40 and stage.running == 1)
    gate.set()
    await stage.until(lambda: len(stage.done) == 41)
    assert stage.done.index("small@0") <= 2
