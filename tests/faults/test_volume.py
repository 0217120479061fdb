"""Twenty thousand documents and two thousand questions through eight kills."""

import asyncio
import random
from collections.abc import Iterator

import pytest

from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.programs import Sizes
from forebay_standalone.system import System

from .accountant import Accountant, Moment
from .canaries import canaries
from .conftest import heal
from .fault_table import FaultTable
from .load import Load
from .stand import options, running, start
from .strike import ask_for

DOCUMENTS = 20_000
QUESTIONS = 2_000
TENANTS = 8
KILLS = ("indexing-1", "answering-1", "edge", "indexing-2", "answering-2", "edge") * 2
EIGHT = 8

pytestmark = [pytest.mark.slow_faults, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def crew(model_server: ModelServer) -> Iterator[System]:
    with running(options(model_server, sizes=Sizes(workers=2))) as system:
        yield system


@pytest.fixture
def system(crew: System) -> Iterator[System]:
    yield crew
    heal(crew)


async def test_twenty_thousand_documents_and_two_thousand_questions_through_eight_kills(
    system: System, load: Load, accountant: Accountant, table: FaultTable, rolls: random.Random
) -> None:
    with table.fault(
        f"{DOCUMENTS} documents and {QUESTIONS} questions through {EIGHT} kills",
        "G1 G2 G3 G4 G9",
        "sets equal, one end each, paid again at most what a kill cut off",
    ) as row:
        facts = await ask_for(load, rolls, QUESTIONS)
        more = canaries(rolls, TENANTS, (DOCUMENTS - QUESTIONS) // TENANTS)
        moments: list[Moment] = []
        async with asyncio.TaskGroup() as working:
            working.create_task(load.ask(facts, at_once=20))
            working.create_task(load.ingest(more))
            for number, name in enumerate(KILLS[:EIGHT], start=1):
                await load.until_ended(number * QUESTIONS // (EIGHT + 1), seconds=300)
                await asyncio.to_thread(system.programs[name].kill)
                if name != "edge":
                    moments.append(await accountant.moment())
                await start(system, name)
        row.saw(*await accountant.close(moments, seconds=300))
