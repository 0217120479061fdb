"""A system of its own for tests that break its parts; only its answers come from a server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest

from forebay.client import AsyncClient, ForebayError, RetryPolicy
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.issuer import every_scope
from forebay_standalone.ports import free_port
from forebay_standalone.system import System, SystemOptions

START_SECONDS = 120.0
ONE_ATTEMPT = RetryPolicy(patience=0.0)

T = TypeVar("T")


@pytest.fixture(scope="session")
def model_server() -> Iterator[ModelServer]:
    with ModelServer.start() as server:
        yield server


@pytest.fixture
def models(model_server: ModelServer) -> Iterator[ModelServer]:
    """The model server, well behaved and with an empty record of calls."""
    model_server.behave()
    model_server.forget_calls()
    yield model_server
    model_server.behave()


@pytest.fixture(scope="session")
def system(model_server: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    grpc_port = free_port()
    options = SystemOptions(
        grpc_port,
        free_port(frozenset({grpc_port})),
        env={
            "FOREBAY_GENERATION_PROVIDER": "openai",
            "FOREBAY_GENERATION_BASE_URL": model_server.base_url,
            "FOREBAY_GENERATION_MODEL": "test-generation",
        },
        start_seconds=START_SECONDS,
    )
    with System(tmp_path_factory.mktemp("faults"), options) as running:
        yield running


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test here starts a system; it may take longer than a test may."""
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(240))
