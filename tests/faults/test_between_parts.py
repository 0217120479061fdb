"""Latency and cuts between the parts: everything is slower, nothing is lost."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.ports import free_port
from forebay_standalone.system import Detours, System

from .accountant import Accountant
from .fault_table import FaultTable
from .load import Load
from .log_books import LogBooks
from .proxy import Proxy
from .stand import model_variables, nothing, options, running
from .strike import strike

LATENCY_SECONDS = 0.02  # of light, a continent
CUTS = 5
PAUSE_SECONDS = 1.5
PARTS = ("kafka", "postgres", "models")

pytestmark = [pytest.mark.slow_faults, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def distant(model_server: ModelServer) -> Iterator[tuple[System, dict[str, Proxy]]]:
    """A system that reaches log, database and models through proxies."""
    with ExitStack() as stack:
        systems: list[System] = []
        ports: dict[str, int] = {}
        for part in PARTS:
            ports[part] = free_port(frozenset(ports.values()))
        targets = {
            "kafka": lambda: systems[0].detoured_kafka,
            "postgres": lambda: systems[0].postgres.port,
            "models": lambda: int(model_server.base_url.split(":")[2].partition("/")[0]),
        }
        proxies = {part: stack.enter_context(Proxy(ports[part], targets[part])) for part in PARTS}
        wanted = options(
            model_server,
            detours=Detours(ports["kafka"], ports["postgres"]),
            env=model_variables(f"http://127.0.0.1:{ports['models']}/v1"),
        )
        system = stack.enter_context(running(wanted, systems.append))
        yield system, proxies


@pytest.fixture
async def load(distant: tuple[System, dict[str, Proxy]]) -> AsyncIterator[Load]:
    async with Load(distant[0]) as load:
        yield load


@pytest.fixture
def accountant(
    distant: tuple[System, dict[str, Proxy]], load: Load, models: ModelServer
) -> Accountant:
    return Accountant(load, LogBooks(distant[0]), models)


@pytest.mark.parametrize("part", PARTS)
async def test_a_part_that_is_far_away(
    distant: tuple[System, dict[str, Proxy]],
    load: Load,
    accountant: Accountant,
    table: FaultTable,
    rolls: random.Random,
    part: str,
) -> None:
    proxy = distant[1][part]
    with table.fault(
        f"{LATENCY_SECONDS * 1000:.0f} ms each way to {part}", "G1 G9 G10", "all done, paid once"
    ) as row:
        proxy.delay = LATENCY_SECONDS
        try:
            await strike(load, rolls, nothing, questions=40, documents=80)
            row.saw(*await accountant.close([]))
        finally:
            proxy.delay = 0.0
        assert proxy.connections > 0


@pytest.mark.parametrize("part", PARTS)
async def test_connections_to_a_part_are_cut_again_and_again(
    distant: tuple[System, dict[str, Proxy]],
    load: Load,
    accountant: Accountant,
    table: FaultTable,
    rolls: random.Random,
    part: str,
) -> None:
    proxy = distant[1][part]
    with table.fault(
        f"all connections to {part} cut {CUTS} times under load",
        "G1 G3 G9",
        "one end each, nothing lost",
    ) as row:
        moments = []

        async def cut() -> None:
            before = await accountant.before()
            for _ in range(CUTS):
                await asyncio.to_thread(proxy.cut)
                await asyncio.sleep(PAUSE_SECONDS * rolls.random())
            moments.append(await accountant.moment(before))

        await strike(load, rolls, cut)
        row.saw(*await accountant.close(moments))
