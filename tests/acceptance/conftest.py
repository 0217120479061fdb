"""The whole system on real parts, with a model server that counts what it is asked."""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc.aio
import pytest

from forebay.client import AsyncClient, async_client
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.issuer import every_scope
from forebay_standalone.ports import LOOPBACK, free_port
from forebay_standalone.readiness import serves_grpc
from forebay_standalone.running_program import RunningProgram
from forebay_standalone.system import Addresses, System, SystemOptions

from .content_free import RecordsSince, records
from .http_channel import HttpChannel
from .policy_edits import PolicyEdits
from .wires import Wires, wires_to

DIMENSIONS = 256
START_SECONDS = 120.0
PROGRAMS = ("edge", "indexing", "answering")  # those that show figures
# Programs say as much as their environment can make them say: no test may find content in a log.
TALKATIVE = {"OPENAI_LOG": "debug", "GRPC_VERBOSITY": "DEBUG"}
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
    ports: list[int] = []
    for _ in range(2 + len(PROGRAMS)):
        ports.append(free_port(frozenset(ports)))
    grpc_port, http_port, *figures = ports
    options = SystemOptions(
        grpc_port,
        http_port,
        env=openai_models(model_server.base_url) | TALKATIVE,
        program_env={
            name: {"FOREBAY_METRICS_ADDRESS": f"{LOOPBACK}:{port}"}
            for name, port in zip(PROGRAMS, figures, strict=True)
        },
        start_seconds=START_SECONDS,
    )
    with System(system_folder, options) as running:
        yield running


@pytest.fixture
def policy_edits(system: System, system_folder: Path) -> Iterator[PolicyEdits]:
    edits = PolicyEdits(system_folder / "policy.yaml")
    yield edits
    edits.restore()


@dataclass(frozen=True)
class Transport:
    """One of the ways to the edge; `GRPC` and `HTTP` are all of them."""

    name: str

    def address(self, addresses: Addresses) -> str:
        found: str = getattr(addresses, self.name)
        return found

    def open_channel(self, address: str, options: Any = ()) -> Any:
        """What generated stubs work on, with connections of its own; gRPC's with its options."""
        if self == HTTP:
            return HttpChannel(address)
        return grpc.aio.insecure_channel(address, options=options)


GRPC, HTTP = Transport("grpc"), Transport("http")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every behaviour is the same over both transports, unless a mark says why one is enough."""
    if "transport" in metafunc.fixturenames:
        alone = metafunc.definition.get_closest_marker("over_grpc_alone")
        ways = [GRPC] if alone else [GRPC, HTTP]
        metafunc.parametrize("transport", ways, ids=[way.name for way in ways])


@pytest.fixture
def edge_address(system: System, transport: Transport) -> str:
    """Where the first edge serves the transport of this test."""
    return transport.address(system.addresses)


@pytest.fixture(scope="session")
def second_edge(system: System) -> Iterator[Addresses]:
    """Where a second edge serves, which shares the log and the secrets with the first."""
    grpc_address = f"{LOOPBACK}:{(port := free_port())}"
    http_address = f"{LOOPBACK}:{free_port(frozenset({port}))}"
    program = system.programs["edge"].program
    second = replace(
        program,
        name="other-edge",
        env={
            **program.env,
            "FOREBAY_GRPC_ADDRESS": grpc_address,
            "FOREBAY_HTTP_ADDRESS": http_address,
        },
        ready=serves_grpc(grpc_address),
    )
    running = RunningProgram(second, system.state.logs, system.options.env)
    running.start()
    try:
        running.wait_ready(START_SECONDS)
        yield replace(system.addresses, grpc=grpc_address, http=http_address)
    finally:
        running.stop(10)


@pytest.fixture
def other_edge(second_edge: Addresses, transport: Transport) -> str:
    """Where the second edge serves the transport of this test."""
    return transport.address(second_edge)


@pytest.fixture
async def wires(system: System) -> AsyncIterator[Wires]:
    """Both ways to the first edge, for tests that compare what the two say."""
    async with wires_to(system.addresses) as opened:
        yield opened


@pytest.fixture
def watched(system: System) -> Iterator[RecordsSince]:
    """Every record that the test causes."""
    with records(system) as since:
        yield since


@pytest.fixture
def tenant() -> str:
    """A tenant of the test's own, so that no other test's documents are found."""
    return f"t-{uuid4().hex[:12]}"


Connect = Callable[..., AsyncClient]


@pytest.fixture
def client_transport(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients speak the transport of this test."""
    if transport == HTTP:
        monkeypatch.setattr(async_client, "open_channel", lambda target, _: HttpChannel(target))


@pytest.fixture
async def connect(
    system: System, tenant: str, edge_address: str, client_transport: None
) -> AsyncIterator[Connect]:
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
            client = AsyncClient(at or edge_address, token)
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
