import asyncio
from contextlib import suppress
from dataclasses import replace
from itertools import chain

from forebay_kafka.group_membership import TopicPartition

from .bench import PROMPT, QUERIES, Bench
from .memory_log import MemoryLog, MemoryMember
from .minting import Mint
from .scripted_stage import ScriptedStage
from .test_commits import blocks

SECOND = frozenset({TopicPartition(QUERIES, 1)})
OTHERS_TAKEN = ("take_over", frozenset({2, 3}))
PROMPT_SECONDS = 5.0  # the group waits for 30


async def test_members_that_come_and_go_lose_no_record_and_repeat_none(bench: Bench) -> None:
    count = 250
    names = [[f"p{p}n{n % 20}@{n}" for n in range(count)] for p in range(4)]
    first, second = (ScriptedStage() for _ in range(2))

    async def slow_down_until_there_are_two(_: object) -> None:
        if len(first.done) > 50:
            await second.until(lambda: second.ownership != [])

    first.script = slow_down_until_there_are_two
    settings = replace(PROMPT, max_in_flight=10, revoke_timeout=0.2)
    one = bench.start(first, settings)
    for partition, some in enumerate(names):
        await bench.queries(*some, partition=partition)
    await first.until(lambda: len(first.done) > 50)
    bench.start(second, settings)
    await second.until(lambda: len(second.done) > 50)
    await one.drain()
    await bench.until_committed(*[count] * 4)
    assert sorted(first.done + second.done) == sorted(chain(*names))


async def test_a_record_that_runs_when_its_partition_leaves_is_finished_and_committed(
    bench: Bench,
) -> None:
    first, second = (ScriptedStage() for _ in range(2))
    names = [f"p{partition}@0" for partition in range(4)]
    first.script, gate = blocks(*names)
    bench.start(first)
    for partition, name in enumerate(names):
        await bench.queries(name, partition=partition)
    await first.until(lambda: first.running == 4)
    bench.start(second)
    await asyncio.wait_for(first_that_leaves(first, gate), 30)
    await bench.until_committed(1, 1, 1, 1)
    assert sorted(first.done) == names
    assert second.started == []


async def first_that_leaves(stage: ScriptedStage, gate: asyncio.Event) -> None:
    # Nobody tells a stage that a revocation waits for it: give it time to begin.
    asyncio.get_running_loop().call_later(1.0, gate.set)
    await stage.until(lambda: any(what == "release" for what, _ in stage.ownership))


async def test_a_record_that_outlasts_the_rebalance_is_cancelled_and_runs_elsewhere(
    bench: Bench,
) -> None:
    names = [f"p{partition}@0" for partition in range(4)]
    first, second = (ScriptedStage() for _ in range(2))
    first.script, gate = blocks(*names)
    bench.start(first, replace(PROMPT, revoke_timeout=0.05))
    for partition, name in enumerate(names):
        await bench.queries(name, partition=partition)
    await first.until(lambda: first.running == 4)
    bench.start(second)
    await second.until(lambda: len(second.done) == 2)
    assert first.running == 2
    gate.set()
    await bench.until_committed(1, 1, 1, 1)
    assert sorted(first.done + second.done) == names


async def test_records_that_wait_when_their_partition_leaves_run_elsewhere_alone(
    bench: Bench,
) -> None:
    first, second = (ScriptedStage() for _ in range(2))
    first.script, gate = blocks("p0n0@0")
    bench.start(first, replace(PROMPT, max_in_flight=1, revoke_timeout=0.05))
    for partition in range(4):
        names = [f"p{partition}n{n}@0" for n in range(5)]
        await bench.queries(*names, partition=partition)
        if partition == 0:
            await first.until(lambda: first.running == 1)
    bench.start(second)
    await second.until(lambda: len(second.done) >= 10)
    gate.set()
    await bench.until_committed(5, 5, 5, 5)
    assert len(first.started) + len(second.started) == len({*first.started, *second.started}) + (
        "p0n0@0" in second.started
    )


async def test_no_record_runs_before_the_stage_has_taken_its_partition_over(bench: Bench) -> None:
    stage = ScriptedStage()
    stage.take_over_gate = asyncio.Event()
    await bench.queries("a@0")
    member = bench.start(stage)
    await stage.until(lambda: stage.ownership != [])
    async with asyncio.timeout(30):
        while member.loop.snapshot().counts.consumed == 0:  # noqa: ASYNC110 nothing announces it
            await asyncio.sleep(0)
    assert stage.started == []
    assert stage.ownership == [("take_over", frozenset(range(4)))]
    stage.take_over_gate.set()
    await bench.until_committed(1)
    await member.drain()
    assert stage.ownership[-1] == ("release", frozenset(range(4)))


async def test_a_take_over_ends_for_partitions_that_leave_and_begins_again_for_the_others(
    bench: Bench,
) -> None:
    first, second = (ScriptedStage() for _ in range(2))
    first.take_over_gate = asyncio.Event()
    bench.start(first)
    await first.until(lambda: len(first.ownership) == 1)
    bench.start(second)
    await second.until(lambda: len(second.ownership) == 1)
    await first.until(lambda: len(first.ownership) == 3)
    all_four, left, kept = first.ownership
    assert all_four == ("take_over", frozenset(range(4)))
    assert left == ("release", second.ownership[0][1])
    assert kept == ("take_over", frozenset(range(4)) - left[1])


async def test_a_partition_leaves_with_its_offset_while_the_take_over_of_others_lasts(
    memory_log: MemoryLog, mint: Mint
) -> None:
    async with Bench(memory_log, mint, "forebay.test") as bench:
        stage = ScriptedStage()
        await bench.queries("a@0", partition=1)
        member, gate = await member_that_takes_others_over(bench, stage)
        await stage.until(lambda: stage.done == ["a@0"])
        async with asyncio.timeout(PROMPT_SECONDS):
            await member.revoke(SECOND)
        await bench.until_committed(0, 1)
        gate.set()
        await bench.queries("b@0", partition=2)
        await stage.until(lambda: stage.done == ["a@0", "b@0"])
        assert stage.ownership[-3:] == [OTHERS_TAKEN, ("release", frozenset({1})), OTHERS_TAKEN]


async def test_a_partition_whose_take_over_has_not_begun_disturbs_no_other_when_it_leaves(
    memory_log: MemoryLog, mint: Mint
) -> None:
    async with Bench(memory_log, mint, "forebay.test") as bench:
        stage = ScriptedStage()
        member, gate = await member_that_takes_others_over(bench, stage)
        async with asyncio.timeout(PROMPT_SECONDS):
            await member.revoke(SECOND)
            await stage.until(lambda: stage.ownership[-1] == OTHERS_TAKEN)
            begun = len(stage.ownership)
            member.assign(SECOND)
            await asyncio.sleep(0)
            await member.revoke(SECOND)
        gate.set()
        await bench.queries("b@0", partition=2)
        await stage.until(lambda: stage.done == ["b@0"])
        assert len(stage.ownership) == begun


async def member_that_takes_others_over(
    bench: Bench, stage: ScriptedStage
) -> tuple[MemoryMember, asyncio.Event]:
    """A member with two partitions that gets those of another one, at an event; it commits late."""
    neighbour = ScriptedStage()
    member = bench.start(stage, replace(PROMPT, commit=replace(PROMPT.commit, seconds=3600)))
    await stage.until(lambda: stage.ownership != [])
    other = bench.start(neighbour)
    await neighbour.until(lambda: neighbour.ownership != [])
    stage.take_over_gate = asyncio.Event()
    await other.drain()
    await stage.until(lambda: stage.ownership[-1] == OTHERS_TAKEN)
    assert isinstance(member.source, MemoryMember)
    return member.source, stage.take_over_gate


async def test_work_of_a_lost_partition_is_cancelled_and_never_committed(
    memory_log: MemoryLog, mint: Mint
) -> None:
    async with Bench(memory_log, mint, "forebay.test") as bench:
        script, _ = blocks("b@0")
        stage = ScriptedStage(script)
        member = bench.start(stage, replace(PROMPT, commit=replace(PROMPT.commit, seconds=3600)))
        await bench.queries("a@0", "b@0")
        await stage.until(lambda: stage.done == ["a@0"])
        assert isinstance(member.source, MemoryMember)
        await member.source.lose_everything()
        assert stage.running == 0
        assert member.loop.snapshot().partitions == ()
        await member.drain()
        assert await bench.committed() == {}


async def test_work_that_ignores_its_cancellation_is_not_committed_either(
    memory_log: MemoryLog, mint: Mint
) -> None:
    async def stubborn(_: object) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async with Bench(memory_log, mint, "forebay.test") as bench:
        stage = ScriptedStage(stubborn)
        member = bench.start(stage)
        await bench.queries("a@0")
        await stage.until(lambda: stage.running == 1)
        assert isinstance(member.source, MemoryMember)
        await member.source.lose_everything()
        assert stage.done == ["a@0"]
        await member.drain()
        assert await bench.committed() == {}
