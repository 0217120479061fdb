"""A system that tests break and heal again, and the table of what was seen."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest

from forebay.client import AsyncClient, ForebayError, RetryPolicy
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.broker import KafkaBroker
from forebay_standalone.issuer import every_scope
from forebay_standalone.ports import LOOPBACK, free_port
from forebay_standalone.postgres_server import PostgresServer
from forebay_standalone.system import System

from .accountant import Accountant
from .fault_table import FaultTable, dice, seed
from .load import Load
from .log_books import LogBooks
from .stand import DIMENSIONS, START_SECONDS, options, running

ONE_ATTEMPT = RetryPolicy(patience=0.0)
REPORT_VARIABLE = "FOREBAY_FAULTS_REPORT"
TABLE = pytest.StashKey[FaultTable]()

T = TypeVar("T")


@pytest.fixture
def table(request: pytest.FixtureRequest) -> FaultTable:
    """Where a test says what it broke and what it saw."""
    return request.config.stash.setdefault(TABLE, FaultTable())


@pytest.fixture
def rolls(request: pytest.FixtureRequest) -> random.Random:
    """Dice of the test's own, the same in every run with one seed."""
    return dice(request.node.name)


@pytest.fixture(scope="session")
def model_server() -> Iterator[ModelServer]:
    with ModelServer.start(dimensions=DIMENSIONS) as server:
        yield server


@pytest.fixture
def models(model_server: ModelServer) -> Iterator[ModelServer]:
    """The model server, well behaved and with an empty record of calls."""
    model_server.behave()
    model_server.forget_calls()
    yield model_server
    model_server.behave()


@pytest.fixture(scope="session")
def shared_system(model_server: ModelServer) -> Iterator[System]:
    figures = {"edge": {"FOREBAY_METRICS_ADDRESS": f"{LOOPBACK}:{free_port()}"}}
    with running(options(model_server, program_env=figures)) as system:
        yield system


@pytest.fixture
def system(shared_system: System) -> Iterator[System]:
    """The system; whatever a test ended runs again afterwards."""
    yield shared_system
    heal(shared_system)


@pytest.fixture
async def load(system: System) -> AsyncIterator[Load]:
    async with Load(system) as load:
        yield load


@pytest.fixture
def accountant(system: System, load: Load, models: ModelServer) -> Accountant:
    return Accountant(load, LogBooks(system), models)


@pytest.fixture
async def client(system: System) -> AsyncIterator[AsyncClient]:
    """A client of a new tenant that retries as clients do."""
    async with AsyncClient(system.addresses.grpc, mint(system)) as connected:
        yield connected


@pytest.fixture
async def impatient(system: System) -> AsyncIterator[AsyncClient]:
    """A client that tries once, and waits three seconds at most."""
    token = mint(system)
    async with AsyncClient(
        system.addresses.grpc, token, timeout=3.0, retry=ONE_ATTEMPT
    ) as connected:
        yield connected


def mint(system: System) -> str:
    tenant = f"t-{uuid4().hex[:12]}"
    tier, life = "enterprise", timedelta(minutes=10)
    return system.issuer.mint(tenant, "somebody", tier, every_scope(), (), life)


def heal(system: System) -> None:
    """Start again what does not run, storage first."""
    parts: tuple[KafkaBroker | PostgresServer, ...] = (*system.brokers, system.postgres)
    for storage in parts:
        if not storage.alive:
            storage.start()
        storage.resume()
    for storage in parts:
        storage.wait_ready(START_SECONDS)
    ended = [program for program in system.programs.values() if not program.alive]
    for program in ended:
        program.start()
    for program in system.programs.values():
        program.resume()
        program.wait_ready(START_SECONDS)


async def in_the_end(call: Callable[[], Awaitable[T]], seconds: float = 60.0) -> T:
    """What a call returns once it works again."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        try:
            return await call()
        except ForebayError:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(0.1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test the time to start a system; those that share one come last.

    Eight idle programs and a broker take a fifth of two cores from whoever runs beside them.
    """
    places = [n for n, item in enumerate(items) if Path(__file__).parent in item.path.parents]
    ours = sorted((items[n] for n in places), key=shares_system)
    for n, item in zip(places, ours, strict=True):
        items[n] = item
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(240))  # the first one starts a system


def shares_system(item: pytest.Item) -> bool:
    """Whether a test strikes the system that others strike, too."""
    return "shared_system" in getattr(item, "fixturenames", ())


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table, and write it where FOREBAY_FAULTS_REPORT says."""
    found = config.stash.get(TABLE, None)
    if found is None:
        return
    terminalreporter.section(f"faults, seed {seed()}")
    terminalreporter.line("fault | promise | expected | seen")
    for line in found.lines():
        terminalreporter.line(line)
    if report := os.environ.get(REPORT_VARIABLE):
        found.write(Path(report))
