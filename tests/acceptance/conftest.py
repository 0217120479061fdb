"""The whole system on real parts, with a model server that counts what it is asked."""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from forebay.client import AsyncClient
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.issuer import every_scope
from forebay_standalone.ports import LOOPBACK, free_port
from forebay_standalone.readiness import serves_grpc
from forebay_standalone.running_program import RunningProgram
from forebay_standalone.system import System, SystemOptions

from .policy_edits import PolicyEdits

DIMENSIONS = 256
START_SECONDS = 120.0
POLICY = """
tiers:
  free: {clearance: PUBLIC, top_k: 5, model: small, output_tokens: 256, context_tokens: 2048}
  standard: {clearance: INTERNAL, model: medium}
  enterprise: {clearance: CONFIDENTIAL, top_k: 20, model: large}
"""


@pytest.fixture(scope="session")
def model_server() -> Iterator[ModelServer]:
    with ModelServer.start(dimensions=DIMENSIONS, embeddings="wordllama") as server:
        yield server


@pytest.fixture
def models(model_server: ModelServer) -> Iterator[ModelServer]:
    """The model server, well behaved and with an empty record of calls."""
    model_server.behave()
    model_server.forget_calls()
    yield model_server
    model_server.behave()


@pytest.fixture(scope="session")
def system_folder() -> Iterator[Path]:
    # Not in pytest's own folder: it is closed to the account that Postgres runs as.
    with tempfile.TemporaryDirectory(prefix="forebay-system-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def system(model_server: ModelServer, system_folder: Path) -> Iterator[System]:
    (system_folder / "policy.yaml").write_text(POLICY)
    grpc_port = free_port()
    options = SystemOptions(
        grpc_port,
        free_port(frozenset({grpc_port})),
        env=openai_models(model_server.base_url),
        start_seconds=START_SECONDS,
    )
    with System(system_folder, options) as running:
        yield running


@pytest.fixture
def policy_edits(system: System, system_folder: Path) -> Iterator[PolicyEdits]:
    edits = PolicyEdits(system_folder / "policy.yaml")
    yield edits
    edits.restore()


@pytest.fixture(scope="session")
def other_edge(system: System) -> Iterator[str]:
    """The address of a second edge, which shares the log and the secrets with the first."""
    address = f"{LOOPBACK}:{free_port()}"
    program = system.programs["edge"].program
    env = {**program.env, "FOREBAY_GRPC_ADDRESS": address}
    del env["FOREBAY_HTTP_ADDRESS"]
    second = replace(
        program,
        name="other-edge",
        env=env,
        ready=serves_grpc(address),
    )
    running = RunningProgram(second, system.state.logs, system.options.env)
    running.start()
    try:
        running.wait_ready(START_SECONDS)
        yield address
    finally:
        running.stop(10)


@pytest.fixture
def tenant() -> str:
    """A tenant of the test's own, so that no other test's documents are found."""
    return f"t-{uuid4().hex[:12]}"


Connect = Callable[..., AsyncClient]


@pytest.fixture
async def connect(system: System, tenant: str) -> AsyncIterator[Connect]:
    """Make clients; the tenant is the test's own, the address that of the first edge."""
    async with AsyncExitStack() as stack:

        def make(
            tier: str = "enterprise",
            *,
            at: str = "",
            groups: tuple[str, ...] = (),
            **claims: str,
        ) -> AsyncClient:
            token = system.issuer.mint(
                claims.get("tenant", tenant),
                claims.get("subject", f"{tier}-user"),
                tier,
                every_scope(),
                groups,
                timedelta(minutes=10),
            )
            client = AsyncClient(at or system.addresses.grpc, token)
            stack.push_async_callback(client.close)
            return client

        yield make


def openai_models(base_url: str) -> dict[str, str]:
    return {
        "FOREBAY_EMBEDDING_PROVIDER": "openai",
        "FOREBAY_EMBEDDING_BASE_URL": base_url,
        "FOREBAY_EMBEDDING_MODEL": "test-embedding",
        "FOREBAY_EMBEDDING_DIMENSIONS": str(DIMENSIONS),
        "FOREBAY_GENERATION_PROVIDER": "openai",
        "FOREBAY_GENERATION_BASE_URL": base_url,
        "FOREBAY_GENERATION_MODEL": "test-generation",
    }


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test here starts a system; it may take longer than a test may."""
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(240))
