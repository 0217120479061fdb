import asyncio
from dataclasses import replace

from forebay_kafka.group_consumer import BATCH_RECORDS
from forebay_workers.record_loop.settings import MIB

from .bench import PROMPT, Bench
from .scripted_stage import ScriptedStage
from .test_commits import blocks


async def test_a_stuck_record_bounds_what_is_taken_of_its_partition_alone(bench: Bench) -> None:
    limit = 50
    script, gate = blocks("stuck@0")
    stage = ScriptedStage(script)
    member = bench.start(stage, replace(PROMPT, max_uncommitted_records=limit))
    await bench.queries("stuck@0", *(f"n{n}@0" for n in range(1_000)))
    await stage.until(lambda: len(stage.done) >= limit)
    # The other partition goes on while the first one stands.
    await bench.queries(*(f"m{n}@0" for n in range(500)), partition=1)
    await bench.until_committed(0, 500)
    assert member.loop.snapshot().uncommitted <= limit + BATCH_RECORDS
    gate.set()
    await bench.until_committed(1_001, 500)
    assert len(stage.done) == len(set(stage.done)) == 1_501


async def test_memory_is_bounded_however_many_records_wait(bench: Bench) -> None:
    size, count = 64 * 1024, 400
    permits = asyncio.Semaphore(0)

    async def wait(_: object) -> None:
        await permits.acquire()

    stage = ScriptedStage(wait)
    settings = replace(PROMPT, max_held_bytes=MIB, max_in_flight=4)
    for partition in range(4):
        names = [f"p{partition}n{n}@0" for n in range(count // 4)]
        await bench.queries(*names, partition=partition, padding=size)
    member = bench.start(stage, settings)
    await stage.until(lambda: stage.running == 4 and member.loop.snapshot().held_bytes > MIB)
    held = []
    while len(stage.done) < count:
        held.append(member.loop.snapshot().held_bytes)
        done = len(stage.done)
        permits.release()
        await stage.until(lambda done=done: len(stage.done) > done)  # type: ignore[misc]
    assert max(held) <= MIB + BATCH_RECORDS * (size + 2_048)
    await bench.until_committed(*[count // 4] * 4)
