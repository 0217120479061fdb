"""Eight workers that come and go under load."""

import asyncio
import random
import signal
from collections.abc import Iterator

import pytest

from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.programs import Sizes
from forebay_standalone.running_program import STOP_SECONDS
from forebay_standalone.system import System

from .accountant import Accountant, Moment
from .conftest import heal
from .fault_table import FaultTable
from .load import Load
from .stand import options, running
from .strike import strike

RESTARTS = 16
EACH = 4  # workers that index, and as many that answer
LONGEST_PAUSE = 2.0

pytestmark = [pytest.mark.slow_faults, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def crew(model_server: ModelServer) -> Iterator[System]:
    with running(options(model_server, sizes=Sizes(workers=EACH))) as system:
        yield system


@pytest.fixture
def system(crew: System) -> Iterator[System]:
    yield crew
    heal(crew)


async def test_sixteen_random_restarts_of_eight_workers_under_load(
    system: System,
    models: ModelServer,
    load: Load,
    accountant: Accountant,
    table: FaultTable,
    rolls: random.Random,
) -> None:
    with table.fault(
        f"{RESTARTS} random restarts of {2 * EACH} workers, by SIGTERM and SIGKILL",
        "G1 G3 G4 G9",
        "accepted = indexed or answered, one end each",
    ) as row:
        models.behave(first_token_seconds=0.5, tokens_per_second=40, embedding_seconds=0.2)
        moments: list[Moment] = []
        ways: list[signal.Signals] = []

        async def come_and_go() -> None:
            workers = [name for name in system.programs if name.startswith(("indexing", "answer"))]
            for _ in range(RESTARTS):
                way = rolls.choice([signal.SIGTERM, signal.SIGKILL])
                ways.append(way)
                # The books of a running load take longer to read than a successor takes to begin.
                before = await accountant.before()
                await restart(system, rolls.choice(workers), way)
                if way is signal.SIGKILL:
                    moments.append(await accountant.moment(before, again=1))
                await asyncio.sleep(LONGEST_PAUSE * rolls.random())

        await strike(load, rolls, come_and_go, questions=400, documents=2_000, at_once=20)
        kills = ways.count(signal.SIGKILL)
        row.saw(f"{kills} by SIGKILL, {len(ways) - kills} by SIGTERM")
        row.saw(*await accountant.close(moments, seconds=120))


async def restart(system: System, name: str, way: signal.Signals) -> None:
    """End a worker one way or the other, and start it again without waiting for its return."""
    program = system.programs[name]
    if way is signal.SIGKILL:
        await asyncio.to_thread(program.kill)
    else:
        await asyncio.to_thread(program.stop, STOP_SECONDS)
    await asyncio.to_thread(program.start)
