"""What a call is let through for, and what its caller is told when it is not."""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import QuotaFailure, RetryInfo

from forebay.errors.v1 import ErrorReason
from forebay.ingest.v1 import IngestDocumentRequest
from forebay.query.v1 import Caller as CallerMessage
from forebay.query.v1 import SubmitQueryRequest
from forebay_server.governance.authorisation import method_path
from forebay_server.limits import backlog, usage_ledger
from forebay_server.limits.allowances import Allowances, Limit
from forebay_server.limits.backlog import Backlog
from forebay_server.limits.errors import LimitReached, LimitsUnavailable
from forebay_server.limits.limiter import Limiter
from forebay_server.limits.remaining import show_remaining
from forebay_server.limits.store import Counted, Held, StoreDown
from forebay_server.limits.writes import WRITES

from .limited import ADA, BOB, EVE, NIGHT, Edge, allowed, ask, caller

MessageT = TypeVar("MessageT", bound=Message)

READ, WRITE = "/forebay.query.v1.QueryService/GetQuery", "/forebay.query.v1.QueryService/Ask"


class DownStore:
    """A store that does not answer."""

    async def count_call(self, holder: str, limit: int) -> Counted:
        raise StoreDown

    async def hold(self, holder: str, name: str, limit: int | None, seconds: float) -> Held:
        raise StoreDown

    async def release(self, holder: str, name: str) -> None:
        raise StoreDown


@pytest.fixture
async def edge() -> Edge:
    edge = Edge()
    edge.ledger.complete()
    return edge


def detail(error: LimitReached | LimitsUnavailable, kind: Callable[[], MessageT]) -> MessageT:
    [found] = [each for each in error.details if isinstance(each, type(kind()))]
    return found


async def test_a_tiers_limit_is_each_subjects_own(edge: Edge) -> None:
    tier = Allowances(requests_per_minute=1, concurrent_answers=1)
    for who in (ADA, BOB, EVE, caller("ada", "globex"), caller("ada", issuer="https://other")):
        await edge.limiter.admit(allowed(who, tier), READ)
        await edge.limiter.admit_answer(allowed(who, tier), "queries/a", NIGHT + 60, followed=True)
        with pytest.raises(LimitReached):
            await edge.limiter.admit(allowed(who, tier), READ)


async def test_a_tenants_limit_is_that_of_all_its_subjects(edge: Edge) -> None:
    tier = Allowances(requests_per_minute=1, concurrent_answers=1, tokens_per_day=10)
    acme = tier.overridden_by(Allowances(requests_per_minute=3, concurrent_answers=2))
    assert acme.tokens_per_day == 10
    for who in (ADA, BOB, ADA):
        await edge.limiter.admit(allowed(who, acme), READ)
    with pytest.raises(LimitReached) as raised:
        await edge.limiter.admit(allowed(caller("carl"), acme), READ)
    assert str(raised.value) == "the tenant's limit of 3 calls a minute is reached"
    await ask(edge, "queries/a", acme, ADA)
    await ask(edge, "queries/b", acme, BOB)
    with pytest.raises(LimitReached):
        await ask(edge, "queries/c", acme, BOB)
    await edge.limiter.admit(allowed(EVE, acme), READ)


async def test_a_refusal_names_the_limit_and_when_to_come_back(edge: Edge) -> None:
    allowances = Allowances(requests_per_minute=2)
    await edge.limiter.admit(allowed(ADA, allowances), READ)
    edge.uptime.now = 20
    await edge.limiter.admit(allowed(ADA, allowances), READ)
    edge.uptime.now = 50
    with pytest.raises(LimitReached) as raised:
        await edge.limiter.admit(allowed(ADA, allowances), READ)
    refusal = raised.value
    assert (refusal.code, refusal.reason) == (
        code_pb2.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_LIMIT_REACHED,
    )
    assert refusal.metadata == {"limit": "requests_per_minute", "value": "2"}
    [violation] = detail(refusal, QuotaFailure).violations
    assert (violation.subject, violation.description) == ("subject", str(refusal))
    assert detail(refusal, RetryInfo).retry_delay.ToMilliseconds() == 10_000
    edge.uptime.now += refusal.retry_seconds
    await edge.limiter.admit(allowed(ADA, allowances), READ)


async def test_without_limits_nothing_is_counted(edge: Edge) -> None:
    edge.spend("acme", 10**9)
    for number in range(50):
        await edge.limiter.admit(allowed(ADA, Allowances()), WRITE)
        await edge.limiter.admit_document(allowed(ADA, Allowances()))
        await ask(edge, f"queries/{number}", Allowances())
    assert not edge.store._calls
    assert not edge.store._leases
    assert edge.catalogue.asked == 0
    assert await edge.limiter.remaining(allowed(ADA, Allowances())) == {}


def test_an_allowance_of_nothing_is_no_allowance() -> None:
    for limit in Limit:
        with pytest.raises(ValueError, match=limit):
            Allowances(**{limit.value: 0})  # type: ignore[arg-type]


def test_limits_are_called_what_the_contract_calls_them() -> None:
    fields = CallerMessage.Limits.DESCRIPTOR.fields
    allowances = {each.name for each in fields if each.message_type is not None}
    assert allowances == {limit.value for limit in Limit}


def test_every_method_that_changes_something_is_a_write_or_ends_costs() -> None:
    services = [
        SubmitQueryRequest.DESCRIPTOR.file.services_by_name["QueryService"],
        IngestDocumentRequest.DESCRIPTOR.file.services_by_name["IngestService"],
    ]
    reading = ("Get", "List", "Stream")
    paths = {method_path(m) for s in services for m in s.methods if not m.name.startswith(reading)}
    paths.add("/forebay.ingest.v1.IngestService/StreamDocuments")
    assert paths - WRITES == {"/forebay.query.v1.QueryService/CancelQuery"}
    assert paths >= WRITES


async def test_a_store_that_is_down_refuses_writes_and_lets_reads_through(edge: Edge) -> None:
    limiter = Limiter(DownStore(), edge.ledger, edge.backlog, edge.clock)
    allowances = Allowances(requests_per_minute=5, concurrent_answers=2)
    await limiter.admit(allowed(ADA, allowances), READ)
    for path in WRITES:
        with pytest.raises(LimitsUnavailable) as raised:
            await limiter.admit(allowed(ADA, allowances), path)
        assert raised.value.code == code_pb2.UNAVAILABLE
        assert detail(raised.value, RetryInfo).retry_delay.ToMilliseconds() == 1_000
    with pytest.raises(LimitsUnavailable):
        await limiter.admit_answer(allowed(ADA, allowances), "queries/a", NIGHT + 60, followed=True)
    lease = limiter.lease_of(allowed(ADA, allowances), "queries/a")
    async with lease.following():  # an answer under way goes on
        await lease.end()
    left = await limiter.remaining(allowed(ADA, allowances))
    assert {limit: each.remaining for limit, each in left.items()} == {
        Limit.REQUESTS_PER_MINUTE: 0,
        Limit.CONCURRENT_ANSWERS: 0,
    }


async def test_tokens_of_today_are_refused_once_used_up_and_there_again_at_midnight(
    edge: Edge,
) -> None:
    allowances = Allowances(tokens_per_day=100)
    edge.spend("acme", 99)
    await ask(edge, "queries/a", allowances)
    edge.spend("acme", 500, "2")  # an answer that was let in may cost more than was left
    with pytest.raises(LimitReached) as raised:
        await ask(edge, "queries/b", allowances)
    assert raised.value.metadata == {"limit": "tokens_per_day", "value": "100"}
    assert raised.value.retry_seconds == 10.0
    [violation] = detail(raised.value, QuotaFailure).violations
    assert violation.subject == "tenant"
    await ask(edge, "queries/b", allowances, EVE)
    edge.clock.now += 9.999
    with pytest.raises(LimitReached):
        await ask(edge, "queries/b", allowances)
    edge.clock.now = NIGHT + 10
    await ask(edge, "queries/b", allowances)


async def test_passages_alone_cost_no_tokens(edge: Edge) -> None:
    allowances = Allowances(tokens_per_day=1)
    edge.spend("acme", 1)
    await edge.limiter.admit_answer(
        allowed(ADA, allowances), "queries/a", NIGHT + 60, followed=True, generated=False
    )


async def test_an_attempt_is_charged_once_and_to_the_day_it_names(edge: Edge) -> None:
    for _ in range(3):
        edge.spend("acme", 10)
    edge.spend("acme", 10, name="queries/b")
    edge.spend("acme", -5, "negative")
    assert await edge.ledger.used("acme") == 20
    edge.clock.now += 10
    assert await edge.ledger.used("acme") == 0
    edge.spend("acme", 7, "2")
    edge.clock.now -= 1  # clocks of two machines around midnight
    edge.spend("acme", 3, "3")
    assert await edge.ledger.used("acme") == 23
    edge.clock.now += 1
    assert await edge.ledger.used("acme") == 7


async def test_days_that_are_over_leave_memory(edge: Edge) -> None:
    for _ in range(5):
        edge.spend("acme", 1)
        edge.clock.now += usage_ledger.SECONDS_PER_DAY
    edge.spend("acme", 1)
    assert len(edge.ledger._days) == 2


async def test_before_the_days_usage_is_known_answers_wait_a_little_and_are_then_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(usage_ledger, "CATCH_UP_SECONDS", 0.05)
    edge, allowances = Edge(), Allowances(tokens_per_day=100)
    with pytest.raises(LimitsUnavailable):
        await ask(edge, "queries/a", allowances)
    assert (await edge.limiter.remaining(allowed(ADA, allowances)))[
        Limit.TOKENS_PER_DAY
    ].remaining == 0
    await ask(edge, "queries/a", Allowances())
    monkeypatch.setattr(usage_ledger, "CATCH_UP_SECONDS", 20.0)
    waiting = asyncio.create_task(ask(edge, "queries/a", allowances))
    await asyncio.sleep(0)
    edge.ledger.complete()
    await waiting


async def test_a_tenant_with_a_full_backlog_gets_no_further_document_in(edge: Edge) -> None:
    allowances = Allowances(backlog=10)
    edge.catalogue.waiting = 7
    for _ in range(3):  # the catalogue has not heard of these yet
        await edge.limiter.admit_document(allowed(ADA, allowances))
    with pytest.raises(LimitReached) as raised:
        await edge.limiter.admit_document(allowed(BOB, allowances))
    assert raised.value.metadata == {"limit": "backlog", "value": "10"}
    assert edge.catalogue.asked == 1
    edge.catalogue.waiting = 9
    edge.uptime.now += backlog.STALE_SECONDS + backlog.FRESH_SECONDS
    await edge.limiter.admit_document(allowed(ADA, allowances))
    with pytest.raises(LimitReached):
        await edge.limiter.admit_document(allowed(ADA, allowances))
    assert edge.catalogue.asked == 2


async def test_documents_are_let_in_while_nobody_can_count_and_nobody_waits_for_it(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    edge.catalogue.down = True
    allowances = Allowances(backlog=1)
    for _ in range(50):
        await edge.limiter.admit_document(allowed(ADA, allowances))
    assert edge.catalogue.asked == 1
    edge.catalogue.down, edge.catalogue.waiting = False, 5
    edge.uptime.now += backlog.BLIND_SECONDS
    await edge.limiter.admit_document(allowed(ADA, allowances))
    await edge.backlog._tenants["acme"].counting  # type: ignore[misc]
    with pytest.raises(LimitReached):
        await edge.limiter.admit_document(allowed(ADA, allowances))
    said = [record.message for record in caplog.records]
    assert said == ["waiting documents cannot be counted", "waiting documents are counted again"]


async def test_a_count_that_takes_long_is_waited_for_a_little_and_taken_less_often(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PATIENCE_SECONDS", 0.01)
    counted = asyncio.Event()

    async def slow(tenant: str, at_most: int) -> int:
        await counted.wait()
        edge.uptime.now += 2
        return 3

    counting = Backlog(slow, edge.uptime)
    assert await counting.waiting("acme", 10) is None
    counted.set()
    await counting._tenants["acme"].counting  # type: ignore[misc]
    assert await counting.waiting("acme", 10) == 3
    assert counting._tenants["acme"].fresh_until == 2 + 2 * backlog.FRESH_FACTOR
    await counting.close()


async def test_a_caller_sees_what_is_left_of_what_has_a_limit(edge: Edge) -> None:
    tier = Allowances(requests_per_minute=10, concurrent_answers=3, tokens_per_day=100, backlog=50)
    edge.catalogue.waiting = 20
    edge.spend("acme", 30)
    await edge.limiter.admit(allowed(ADA, tier), READ)
    await ask(edge, "queries/a", tier)
    shown = CallerMessage.Limits()
    show_remaining(await edge.limiter.remaining(allowed(ADA, tier)), shown)
    left = {
        limit.value: (getattr(shown, limit).limit, getattr(shown, limit).remaining)
        for limit in Limit
    }
    assert left == {
        "requests_per_minute": (10, 9),
        "concurrent_answers": (3, 2),
        "tokens_per_day": (100, 70),
        "backlog": (50, 30),
    }
    assert shown.requests_per_minute.reset_time.seconds == NIGHT + 60
    assert shown.tokens_per_day.reset_time.seconds == NIGHT + 10
    assert not shown.concurrent_answers.HasField("reset_time")
    assert not shown.backlog.HasField("reset_time")
    show_remaining(
        await edge.limiter.remaining(allowed(BOB, Allowances())), empty := CallerMessage.Limits()
    )
    assert empty == CallerMessage.Limits()


async def test_no_name_of_a_tenant_or_subject_reaches_the_store_the_log_or_a_text(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    who = caller("canary-subject", "canary-tenant", "https://canary-issuer")
    allowances = Allowances(requests_per_minute=1, concurrent_answers=1, backlog=1)
    edge.catalogue.down = True
    said: list[str] = []
    for of_tenant in (False, True):
        limits = allowances.overridden_by(allowances) if of_tenant else allowances
        for name in ("queries/a", "queries/b"):
            for step in (
                edge.limiter.admit(allowed(who, limits), WRITE),
                edge.limiter.admit_answer(allowed(who, limits), name, NIGHT + 60, followed=True),
                edge.limiter.admit_document(allowed(who, limits)),
            ):
                try:
                    await step
                except LimitReached as refusal:
                    said.append(f"{refusal} {refusal.metadata} {refusal.details}")
    assert len(said) == 4
    everything = f"{said} {caplog.text} {edge.store._calls} {edge.store._leases}"
    assert "canary" not in everything
