"""Those who bring much in, those who bring little, and those who ask: nobody waits for another."""

import asyncio
import random
import statistics
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from time import monotonic

import pytest

from forebay.client import AsyncClient, ResourceExhausted
from forebay.errors.v1 import ErrorReason
from forebay.query.v1 import SubmitQueryRequest
from forebay_benchmarks.bare_processor import calculations
from forebay_benchmarks.child import Child
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.programs import Sizes
from forebay_standalone.system import System

from .accountant import Accountant
from .canaries import COLLECTION, Canary, canaries
from .conftest import ONE_ATTEMPT, heal
from .fault_table import FaultTable
from .load import Load
from .log_books import LogBooks
from .stand import DIMENSIONS, options, running
from .test_withdrawals import QUEUES

FLOOD = 10_000
INGESTED = 20_000
FLOODING_TENANTS = 4
PROBES = 15
ASKED = 300
AT_ONCE = 2
IDLE_TIMES = 2.0  # another tenant's first document under a flood
ISOLATED_TIMES = 1.5  # a question's p99 while others ingest
BARE_SECONDS = 0.2
BARE_ROUND_SECONDS = 4.0  # 200 pieces of work, of which the second slowest is the 99th percentile
ANSWERING_NICENESS = 0
INDEXING_NICENESS = 10  # as `forebay up` starts programs that index and answer nobody
THROTTLED_CALLS = 20.0  # calls/s that the embedding endpoint answers

pytestmark = [pytest.mark.slow_faults, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def questions_models() -> Iterator[ModelServer]:
    """The endpoint of those who ask: the other one is busy with documents."""
    with ModelServer.start(dimensions=DIMENSIONS) as server:
        yield server


@pytest.fixture(scope="module")
def divided(model_server: ModelServer, questions_models: ModelServer) -> Iterator[System]:
    """In the programs that `forebay up` starts, with few answers at once: questions get a lag."""
    answering = {
        "FOREBAY_EMBEDDING_BASE_URL": questions_models.base_url,
        "FOREBAY_MAX_IN_FLIGHT": "4",
    }
    wanted = options(model_server, sizes=Sizes(), program_env={"answering": answering})
    with ExitStack() as stack:
        yield stack.enter_context(running(wanted))


@pytest.fixture
def system(divided: System) -> Iterator[System]:
    yield divided
    heal(divided)


async def test_a_flood_of_one_tenant_does_not_delay_another(
    system: System, load: Load, accountant: Accountant, table: FaultTable, rolls: random.Random
) -> None:
    with table.fault(
        f"one tenant floods {FLOOD} documents",
        "G10",
        f"another's document is INDEXED within {IDLE_TIMES} x of its idle time, and of what bare "
        "calculations of the same niceness got slower by",
    ) as row:
        quiet = canaries(rolls, 1, 2 * PROBES + 1)
        await load.seed(quiet[:1])
        with Child(calculations, INDEXING_NICENESS) as bare:
            idle = await probed(load, quiet[1 : PROBES + 1], bare)
            flooding = asyncio.create_task(load.flood(canaries(rolls, 1, FLOOD)))
            await load.until(lambda: len(load.accepted) > FLOOD // 5, seconds=120)
            flooded = await probed(load, quiet[PROBES + 1 :], bare)
            waiting = await documents_waiting(system)
        await flooding
        slower = max(1.0, flooded.bare / idle.bare)
        row.saw(f"idle {idle.indexed:.3f} s, flooded {flooded.indexed:.3f} s, {waiting} waited")
        row.saw(f"bare work {idle.bare * 1000:.1f} ms idle, {flooded.bare * 1000:.1f} ms flooded")
        row.saw(*await accountant.close([], seconds=300))
        assert waiting > PROBES, "the flood was over before the probes were"
        assert flooded.indexed <= IDLE_TIMES * idle.indexed * slower


async def test_questions_and_ingest_keep_their_pace_while_the_embedding_endpoint_throttles(
    system: System,
    load: Load,
    models: ModelServer,
    accountant: Accountant,
    table: FaultTable,
    rolls: random.Random,
) -> None:
    with (
        table.fault(
            f"{INGESTED} documents with the embedding endpoint at 429",
            "G7 G10",
            f"question p99 within {ISOLATED_TIMES} x of idle, and of what bare calculations got "
            "slower by; ingest's own p99 unchanged, lag drains",
        ) as row,
        Child(calculations, ANSWERING_NICENESS) as bare,
    ):
        facts = canaries(rolls, FLOODING_TENANTS, 200 // FLOODING_TENANTS)
        await load.seed(facts)
        await paces(load, facts, rolls, bare)  # an edge finds its place in each partition only once
        idle = await paces(load, facts, rolls, bare)
        models.behave(kinds=["embeddings"], throttle_above=THROTTLED_CALLS)
        more = canaries(rolls, FLOODING_TENANTS, INGESTED // FLOODING_TENANTS)
        flooding = asyncio.create_task(load.flood(more))
        await load.until(lambda: len(load.accepted) > INGESTED // 5, seconds=120)
        busy = await paces(load, facts, rolls, bare)
        waiting = await documents_waiting(system)
        models.behave()
        await flooding
        for what in ("question", "ingest", "bare"):
            before, during = (1000 * getattr(each, what) for each in (idle, busy))
            row.saw(f"{what} p99 {before:.0f} ms idle, {during:.0f} ms busy")
        row.saw(f"{waiting} waited", *await accountant.close([], seconds=400))
        assert waiting > 2 * ASKED, "the flood was over before the questions were"
        slower = max(1.0, busy.bare / idle.bare)
        assert busy.question <= ISOLATED_TIMES * idle.question * slower
        assert busy.ingest <= ISOLATED_TIMES * idle.ingest


async def test_a_question_that_cannot_be_answered_in_time_is_refused(
    system: System,
    load: Load,
    models: ModelServer,
    table: FaultTable,
    rolls: random.Random,
) -> None:
    with table.fault(
        "a question with a timeout of 1 s behind 60 s of lag",
        "G10",
        "refused with RESOURCE_EXHAUSTED and a time to retry",
    ) as row:
        facts = canaries(rolls, 1, 60)
        await load.seed(facts)
        models.behave(kinds=["chat"], first_token_seconds=4.0)
        waiting = asyncio.create_task(load.ask(facts, at_once=len(facts), watched=False))
        await load.until_ended(8)
        token = load.token(facts[0].tenant)
        async with AsyncClient(system.addresses.grpc, token, retry=ONE_ATTEMPT) as client:
            with pytest.raises(ResourceExhausted) as refused:
                await client.submit(facts[0].question, timeout=1.0)
        models.behave()
        await waiting
        assert refused.value.reason == ErrorReason.ERROR_REASON_PIPELINE_OVERLOADED
        assert refused.value.retry_delay is not None
        row.saw(f"refused, again in {refused.value.retry_delay:.0f} s")


async def documents_waiting(system: System) -> int:
    lag = await asyncio.to_thread(LogBooks(system).lag)
    return sum(lag.get(group, 0) for group in QUEUES)


@dataclass(frozen=True)
class Probed:
    """Seconds: the median of a document until it is INDEXED, and the mean of bare work."""

    indexed: float
    bare: float


async def probed(load: Load, brought: Sequence[Canary], bare: Child) -> Probed:
    """One document after another, and bare work between them: what slows one slows the other."""
    indexed, worked = [], []
    for canary in brought:
        began = monotonic()
        await load.seed([canary])
        indexed.append(monotonic() - began)
        worked += (await asyncio.to_thread(bare.measure, BARE_SECONDS)).latencies
    return Probed(statistics.median(indexed), statistics.mean(worked))


@dataclass(frozen=True)
class Paces:
    """The 99th percentiles of questions, of single documents and of bare work, in seconds."""

    question: float
    ingest: float
    bare: float


async def paces(load: Load, facts: Sequence[Canary], rolls: random.Random, bare: Child) -> Paces:
    client = load.client(facts[0].tenant)
    retrieve = SubmitQueryRequest.MODE_RETRIEVE_ONLY
    own = [fact for fact in facts if fact.tenant == facts[0].tenant]
    asked = [rolls.choice(own).question for _ in range(ASKED)]
    brought = canaries(rolls, 1, ASKED)

    async def ask(number: int) -> None:
        await client.ask(asked[number], mode=retrieve).answer()

    async def bring(number: int) -> None:
        canary = brought[number]
        receipt = await load.client(canary.tenant).ingest(COLLECTION, canary.lock, text=canary.text)
        load.accepted[canary] = receipt.etag

    question = await percentile(ask)
    work = await asyncio.to_thread(bare.measure, BARE_ROUND_SECONDS)
    return Paces(question, await percentile(bring), work.milliseconds(0.99) / 1000)


async def percentile(call: Callable[[int], Awaitable[None]]) -> float:
    turns = asyncio.Semaphore(AT_ONCE)

    async def timed(number: int) -> float:
        async with turns:
            began = monotonic()
            await call(number)
            return monotonic() - began

    taken = sorted(await asyncio.gather(*(timed(number) for number in range(ASKED))))
    return taken[ASKED * 99 // 100]
