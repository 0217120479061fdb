"""What is withdrawn is gone at once, however much waits to come in."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from time import monotonic

import pytest

from forebay.client import AsyncClient
from forebay.query.v1 import SubmitQueryRequest
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.issuer import every_scope
from forebay_standalone.programs import Sizes
from forebay_standalone.system import System

from .canaries import COLLECTION, Canary, canaries
from .fault_table import FaultTable
from .load import Load
from .log_books import LogBooks
from .stand import DIMENSIONS, options, running

WAITING = 50_000
FLOOD = 52_000  # some of them come through while withdrawals are tried
ROUNDS = 20
PROMPT_SECONDS = 2.0
EMBEDDED_PER_SECOND = 5.0
QUEUES = ("forebay.chunking", "forebay.embedding")

pytestmark = [pytest.mark.slow_faults, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def questions_models() -> Iterator[ModelServer]:
    """The endpoint of those who ask: the other one is busy with documents."""
    with ModelServer.start(dimensions=DIMENSIONS) as server:
        yield server


@pytest.fixture
def system(model_server: ModelServer, questions_models: ModelServer) -> Iterator[System]:
    apart = {"answering": {"FOREBAY_EMBEDDING_BASE_URL": questions_models.base_url}}
    wanted = options(model_server, sizes=Sizes(), program_env=apart)
    with ExitStack() as stack:
        yield stack.enter_context(running(wanted))


@pytest.fixture
def all_facts(rolls: random.Random) -> list[Canary]:
    """Of one tenant, who withdraws some and floods with the others."""
    return canaries(rolls, 1, 2 * ROUNDS + FLOOD)


@pytest.fixture
def facts(all_facts: list[Canary]) -> list[Canary]:
    """The first half will be deleted, the other half closed to the public."""
    return all_facts[: 2 * ROUNDS]


@pytest.fixture
async def public(system: System, facts: list[Canary]) -> AsyncIterator[AsyncClient]:
    """Somebody of the same tenant who may read what is public."""
    life = timedelta(hours=1)
    token = system.issuer.mint(facts[0].tenant, "reader", "free", every_scope(), (), life)
    async with AsyncClient(system.addresses.grpc, token) as client:
        yield client


async def test_a_withdrawal_holds_within_two_seconds_while_documents_wait(
    system: System,
    load: Load,
    models: ModelServer,
    public: AsyncClient,
    all_facts: list[Canary],
    facts: list[Canary],
    table: FaultTable,
) -> None:
    with table.fault(
        f"deletions and closings while {WAITING} documents wait to be embedded",
        "G11",
        f"within {PROMPT_SECONDS:.0f} s nobody finds them who may not",
    ) as row:
        own = load.client(facts[0].tenant)
        for fact in facts:
            await own.ingest(COLLECTION, fact.lock, text=fact.text, visibility="PUBLIC")
        for fact in facts:
            await own.wait_indexed(fact.name)
        models.behave(kinds=["embeddings"], throttle_above=EMBEDDED_PER_SECOND)
        await load.ingest(all_facts[len(facts) :])
        deleted = [
            await seconds_until_gone(public, fact, own.delete_document) for fact in facts[:ROUNDS]
        ]
        closed = [
            await seconds_until_gone(
                public, fact, lambda name: own.update_document(name, visibility="INTERNAL")
            )
            for fact in facts[ROUNDS:]
        ]
        lag = LogBooks(system).lag()
        waiting = sum(lag.get(group, 0) for group in QUEUES)
        row.saw(f"{waiting} waited; deleted within {max(deleted):.2f} s")
        row.saw(f"closed within {max(closed):.2f} s")
        assert waiting >= WAITING
        assert max(deleted + closed) <= PROMPT_SECONDS


async def seconds_until_gone(
    public: AsyncClient, fact: Canary, withdraw: Callable[[str], Awaitable[object]]
) -> float:
    """From the withdrawal's receipt until a question no longer finds what was withdrawn."""
    assert await finds(public, fact)
    await withdraw(fact.name)
    began = monotonic()
    while await finds(public, fact):
        pass
    return monotonic() - began


async def finds(public: AsyncClient, fact: Canary) -> bool:
    retrieve = SubmitQueryRequest.MODE_RETRIEVE_ONLY
    answer = await public.ask(fact.question, mode=retrieve).answer()
    return any(fact.secret in passage.text for passage in answer.passages)
