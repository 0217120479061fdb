"""What admitting a call costs, in memory and in Redis."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from forebay_server.governance.caller import Caller
from forebay_server.limits.allowances import Allowances
from forebay_server.limits.backlog import Backlog
from forebay_server.limits.limiter import Limiter
from forebay_server.limits.memory_store import MemoryStore
from forebay_server.limits.redis_store import RedisStore
from forebay_server.limits.store import LimitStore
from forebay_server.limits.usage_ledger import UsageLedger

from .limited import allowed, caller, redis_server

ROUNDS, CALLS, SUBJECTS = 20, 200, 1_000
PATH = "/forebay.query.v1.QueryService/SubmitQuery"
ALLOWED = Allowances(
    requests_per_minute=1_000, concurrent_answers=1_000, tokens_per_day=10**9, backlog=10**9
)
CALLERS = [allowed(caller(f"subject-{number}"), ALLOWED) for number in range(SUBJECTS)]


async def nothing_waits(tenant: str, at_most: int) -> int:
    return 0


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[LimitStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    with redis_server() as server:
        async with RedisStore(server.url) as shared:
            yield shared


async def microseconds(step: Callable[[Caller], Awaitable[object]]) -> float:
    """Of one call, one after another; the best of many rounds, as the machine is shared."""
    means = []
    for number in range(ROUNDS):
        callers = CALLERS[number * CALLS % SUBJECTS :][:CALLS]
        started = time.perf_counter()
        for each in callers:
            await step(each)
        means.append((time.perf_counter() - started) / len(callers) * 1e6)
        await asyncio.sleep(0)
    print(f" {min(means):7.1f} µs (median {statistics.median(means):.1f})", end="")
    return min(means)


async def test_admitting_costs_microseconds_in_memory_and_a_round_trip_in_redis(
    store: LimitStore,
) -> None:
    ledger = UsageLedger(time.time)
    ledger.complete()
    limiter = Limiter(store, ledger, Backlog(nothing_waits))
    in_memory = isinstance(store, MemoryStore)
    print(f"\n{'memory' if in_memory else 'Redis'}: a call", end="")
    call = await microseconds(lambda each: limiter.admit(each, PATH))
    print(", an answer", end="")
    answer = await microseconds(
        lambda each: limiter.admit_answer(each, "queries/a", time.time() + 60, followed=False)
    )
    print(", a document", end="")
    document = await microseconds(limiter.admit_document)
    most = 20 if in_memory else 1_000
    assert max(call, answer) < most
    assert document < 20
