import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from forebay_kafka.group_membership import TopicPartition
from forebay_kafka.records import Received
from forebay_workers.record_loop.partition import HeldPartition
from forebay_workers.record_loop.settings import CommitPolicy, LoopSettings
from forebay_workers.record_loop.stage import Work

from .bench import Bench
from .scripted_stage import Script, ScriptedStage, name_of


def blocks(*names: str) -> tuple[Script, asyncio.Event]:
    gate = asyncio.Event()

    async def script(work: Work[Any]) -> None:
        if name_of(work) in names:
            await gate.wait()

    return script, gate


async def test_an_unfinished_record_holds_back_the_commit_of_all_behind_it(bench: Bench) -> None:
    script, gate = blocks("b@0")
    stage = ScriptedStage(script)
    bench.start(stage)
    await bench.queries("a@0", "b@0", "c@0", "d@0")
    await stage.until(lambda: len(stage.done) == 3)
    await bench.queries("e@0", partition=1)
    await bench.until_committed(1, 1)
    gate.set()
    await bench.until_committed(4, 1)


async def test_a_crash_brings_back_exactly_what_was_not_committed(bench: Bench) -> None:
    script, _ = blocks("b@0")
    stage = ScriptedStage(script)
    member = bench.start(stage)
    await bench.queries("a@0", "b@0", "c@0")
    await stage.until(lambda: len(stage.done) == 2)
    await bench.until_committed(1)
    await member.crash()
    assert stage.running == 0

    second = ScriptedStage()
    bench.start(second)
    await second.until(lambda: len(second.done) == 2)
    await bench.until_committed(3)
    assert sorted(second.done) == ["b@0", "c@0"]


async def test_offsets_are_committed_by_count_before_their_time_is_over(bench: Bench) -> None:
    stage = ScriptedStage()
    never = CommitPolicy(records=10, seconds=3600)
    bench.start(stage, LoopSettings(commit=never))
    await bench.queries(*(f"n{n}@0" for n in range(10)))
    await bench.until_committed(10)


@given(st.data())
def test_the_offset_to_commit_is_behind_the_longest_finished_row(data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=12))
    offsets = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    records = {o: Received("t", 0, o, 0, b"k", b"v", ()) for o in offsets}
    held = HeldPartition(TopicPartition("t", 0))
    for record in records.values():
        held.take(record)
    finished: set[int] = set()
    for offset in data.draw(st.permutations(offsets)):
        held.finish(records[offset])
        finished.add(offset)
        row = [o for n, o in enumerate(offsets) if finished.issuperset(offsets[: n + 1])]
        assert held.committable == (row[-1] + 1 if row else None)
        assert held.span == len(offsets) - len(row)
    assert held.held_bytes == 0
