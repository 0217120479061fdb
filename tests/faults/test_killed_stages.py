"""Each stage is killed in mid-work: nothing is lost, and what is in the log is not paid again."""

import asyncio
import random

import pytest

from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.system import System

from .accountant import Accountant
from .canaries import canaries
from .fault_table import FaultTable
from .load import Load
from .stand import kill, start, until_running
from .strike import TENANTS, strike

QUESTIONS = 60
DOCUMENTS = 200
FEW_CALLS = 4  # under way when a worker is killed: half of the embedding calls that there may be


@pytest.mark.slow_faults
async def test_a_killed_embedding_worker_costs_the_calls_that_it_had_begun(
    system: System,
    models: ModelServer,
    load: Load,
    accountant: Accountant,
    table: FaultTable,
    rolls: random.Random,
) -> None:
    with table.fault(
        "SIGKILL of embedding in mid-work",
        "G1 G6 G9",
        "all indexed; unfinished texts paid twice at most",
    ) as row:
        models.behave(embedding_seconds=0.5)
        await load.ingest(canaries(rolls, TENANTS, DOCUMENTS // TENANTS))
        await until_running(models, "embeddings", FEW_CALLS)
        await kill(system, "embedding")
        moments = [await accountant.moment()]
        models.behave()
        await start(system, "embedding")
        row.saw(*await accountant.close(moments))


@pytest.mark.slow_faults
async def test_a_killed_generation_worker_costs_the_answers_that_it_had_begun(
    system: System,
    models: ModelServer,
    load: Load,
    accountant: Accountant,
    table: FaultTable,
    rolls: random.Random,
) -> None:
    with table.fault(
        "SIGKILL of generation in mid-work",
        "G1 G3 G4 G9",
        "all answered once; unfinished answers paid twice at most",
    ) as row:
        facts = canaries(rolls, TENANTS, QUESTIONS // TENANTS)
        await load.seed(facts)
        # Some are finished by then and some have not begun: both must stay so.
        models.behave(kinds=["chat"], tokens_per_second=8)
        asking = asyncio.create_task(load.ask(facts, at_once=20))
        await until_running(models, "chat", FEW_CALLS)
        await kill(system, "generation")
        moments = [await accountant.moment()]
        models.behave(kinds=["chat"], tokens_per_second=50)
        await start(system, "generation")
        await asking
        row.saw(*await accountant.close(moments))


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param("cataloguing", marks=pytest.mark.slow_faults),
        pytest.param("chunking", marks=pytest.mark.slow_faults),
        pytest.param("retrieval", marks=pytest.mark.slow_faults),
    ],
)
async def test_a_killed_stage_that_pays_nobody_loses_nothing(
    system: System,
    load: Load,
    accountant: Accountant,
    table: FaultTable,
    rolls: random.Random,
    stage: str,
) -> None:
    with table.fault(
        f"SIGKILL of {stage} in mid-work", "G1 G3 G9", "all indexed, all answered once"
    ) as row:
        moments = []

        async def kill_and_start() -> None:
            await kill(system, stage)
            moments.append(await accountant.moment())
            await start(system, stage)

        await strike(load, rolls, kill_and_start, questions=QUESTIONS, documents=DOCUMENTS)
        row.saw(*await accountant.close(moments))
