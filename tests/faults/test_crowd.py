"""Two thousand people ask at once, and the model takes eight seconds."""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.programs import Sizes
from forebay_standalone.system import System

from .accountant import Accountant
from .canaries import canaries
from .conftest import heal
from .fault_table import FaultTable
from .load import Load
from .stand import options, running

PEOPLE = 2_000
TENANTS = 20
WORKERS = 4
MODEL_SECONDS = 8.0

pytestmark = [pytest.mark.slow_faults, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def crew(model_server: ModelServer) -> Iterator[System]:
    sizes = Sizes(workers=WORKERS)
    patient = {"FOREBAY_GENERATION_TIMEOUT": "60"}
    wanted = options(model_server, sizes=sizes)
    wanted = replace(wanted, env={**wanted.env, **patient})
    with running(wanted) as system:
        yield system


@pytest.fixture
def system(crew: System) -> Iterator[System]:
    yield crew
    heal(crew)


async def test_two_thousand_people_ask_at_once_and_each_gets_their_own_answer(
    models: ModelServer,
    load: Load,
    accountant: Accountant,
    table: FaultTable,
    rolls: random.Random,
) -> None:
    with table.fault(
        f"{PEOPLE} people at once, {MODEL_SECONDS:.0f} s to the first token, {WORKERS} workers",
        "G1 G3 G9 G10",
        "all answered, each with their own canary, each paid once",
    ) as row:
        facts = canaries(rolls, TENANTS, PEOPLE // TENANTS)
        await load.seed(facts, seconds=120)
        models.behave(kinds=["chat"], first_token_seconds=MODEL_SECONDS)
        await load.ask(facts, at_once=PEOPLE, watched=False)
        seconds = sorted(each.seconds for each in load.asked)
        row.saw(f"median {seconds[PEOPLE // 2]:.1f} s, last {seconds[-1]:.1f} s")
        row.saw(*await accountant.close([]))
