"""A worker whose clock is a minute off does what the others do."""

import os
import random
from collections.abc import AsyncIterator

import pytest

from forebay_standalone.system import System

from .accountant import Accountant
from .fault_table import FaultTable
from .load import Load
from .stand import kill, nothing, start, twin
from .strike import strike

MINUTE = 60
QUESTION_SECONDS = 30.0  # less than the clock is off
# Python imports it at its start, before anything asks for the time.
SHIFTED = """
import os, time
_time, _time_ns, _shift = time.time, time.time_ns, int(os.environ["CLOCK_SHIFT_SECONDS"])
time.time = lambda: _time() + _shift
time.time_ns = lambda: _time_ns() + _shift * 1_000_000_000
"""


@pytest.fixture
async def load(system: System) -> AsyncIterator[Load]:
    async with Load(system, question_seconds=QUESTION_SECONDS) as load:
        yield load


@pytest.mark.slow_faults
@pytest.mark.parametrize("shift", [MINUTE, -MINUTE], ids=["ahead", "behind"])
@pytest.mark.parametrize("stage", ["retrieval", "generation", "embedding"])
async def test_a_worker_whose_clock_is_a_minute_off(
    system: System,
    load: Load,
    accountant: Accountant,
    table: FaultTable,
    rolls: random.Random,
    stage: str,
    shift: int,
) -> None:
    way = "ahead" if shift > 0 else "behind"
    with table.fault(
        f"the clock of {stage} a minute {way}", "G1 G3 G9", "all answered and indexed, as ever"
    ) as row:
        folder = system.state.path / "clock"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(SHIFTED)
        before = os.environ.get("PYTHONPATH", "")
        shifted = {
            "PYTHONPATH": f"{folder}{os.pathsep}{before}",
            "CLOCK_SHIFT_SECONDS": str(shift),
        }
        with twin(system, stage, shifted):
            await kill(system, stage)
            await strike(load, rolls, nothing, questions=40, documents=80)
            row.saw(*await accountant.close([]))
        await start(system, stage)
