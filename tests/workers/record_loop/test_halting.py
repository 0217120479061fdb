from dataclasses import replace

from forebay_workers.record_loop.counters import LoopState

from .bench import PROMPT, Bench, FastClock
from .memory_log import MemoryLog
from .minting import Mint
from .scripted_stage import ScriptedStage


async def test_a_stage_halts_while_dead_letters_cannot_be_written_and_goes_on_afterwards(
    memory_log: MemoryLog, mint: Mint
) -> None:
    async with Bench(memory_log, mint, "forebay.test") as bench:
        memory_log.available = False
        stage = ScriptedStage()
        member = bench.start(
            stage, replace(PROMPT, max_uncommitted_records=1_000), clock=FastClock()
        )
        await bench.records(mint.query("bad@0").without_headers())
        await memory_log.until(lambda: memory_log.failed_writes > 3)
        await bench.queries("a@0", "b@0")
        await bench.queries("c@0", partition=1)
        await memory_log.until(lambda: memory_log.failed_writes > 50)
        assert stage.started == []
        assert member.loop.snapshot().state is LoopState.HALTED
        assert len(member.loop.snapshot().partitions) == memory_log.partitions
        memory_log.available = True
        await bench.until_committed(3, 1)
        assert sorted(stage.done) == ["a@0", "b@0", "c@0"]
        assert len(await bench.dead_letters()) == 1
        assert member.loop.snapshot().state is LoopState.RUNNING
