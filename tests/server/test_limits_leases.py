"""The places that answers take: one each, renewed while followed, free once they end."""

import asyncio

import pytest

from forebay_server.limits import answer_lease
from forebay_server.limits.allowances import Allowances, Limit
from forebay_server.limits.errors import LimitReached
from forebay_server.limits.holder import holder_of
from forebay_server.limits.store import Held

from .limited import ADA, BOB, NIGHT, Edge, allowed, ask


@pytest.fixture
async def edge() -> Edge:
    edge = Edge()
    edge.ledger.complete()
    return edge


async def test_a_retry_of_a_question_takes_no_second_place(edge: Edge) -> None:
    allowances = Allowances(concurrent_answers=1)
    for _ in range(3):
        await ask(edge, "queries/a", allowances)
    with pytest.raises(LimitReached) as raised:
        await ask(edge, "queries/b", allowances)
    assert raised.value.metadata == {"limit": "concurrent_answers", "value": "1"}
    assert raised.value.retry_seconds == 1.0


async def test_a_retry_of_a_question_that_was_let_in_is_let_in_whatever_was_spent_since(
    edge: Edge,
) -> None:
    allowances = Allowances(concurrent_answers=2, tokens_per_day=100)
    await ask(edge, "queries/a", allowances)
    edge.spend("acme", 100)
    await ask(edge, "queries/a", allowances)
    with pytest.raises(LimitReached) as raised:
        await ask(edge, "queries/b", allowances)
    assert raised.value.metadata["limit"] == "tokens_per_day"
    left = (await edge.limiter.remaining(allowed(ADA, allowances)))[Limit.CONCURRENT_ANSWERS]
    assert left.remaining == 1  # what was refused holds no place


async def test_an_answer_that_ended_makes_room_wherever_that_is_seen(edge: Edge) -> None:
    allowances = Allowances(concurrent_answers=1)
    await ask(edge, "queries/a", allowances)
    await edge.limiter.lease_of(allowed(BOB, allowances), "queries/a").end()
    with pytest.raises(LimitReached):
        await ask(edge, "queries/b", allowances)
    await edge.limiter.lease_of(allowed(ADA, allowances), "queries/a").end()
    await ask(edge, "queries/b", allowances)


async def test_a_question_that_never_reached_the_log_gives_its_place_back_unless_it_was_a_retry(
    edge: Edge,
) -> None:
    async def lease() -> answer_lease.AnswerLease:
        return await edge.limiter.admit_answer(
            allowed(ADA, Allowances(concurrent_answers=1)), "queries/a", NIGHT + 60, followed=False
        )

    first, retry = await lease(), await lease()
    holder = holder_of(ADA, of_tenant=False)
    await retry.undo()
    assert (await edge.store.hold(holder, "", 0, 0)).under_way == 1
    await first.undo()
    assert (await edge.store.hold(holder, "", 0, 0)).under_way == 0


async def test_the_place_of_an_answer_that_nobody_follows_lasts_up_to_its_deadline(
    edge: Edge,
) -> None:
    allowances = Allowances(concurrent_answers=1)
    await edge.limiter.admit_answer(
        allowed(ADA, allowances), "queries/a", NIGHT + 60, followed=False
    )
    edge.uptime.now = 59.9
    with pytest.raises(LimitReached):
        await ask(edge, "queries/b", allowances)
    edge.uptime.now = 60
    await ask(edge, "queries/b", allowances)


@pytest.mark.parametrize("ended", [True, False])
async def test_a_follower_renews_the_place_and_leaves_it_to_an_answer_that_goes_on(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, *, ended: bool
) -> None:
    monkeypatch.setattr(answer_lease, "RENEW_SECONDS", 0.001)
    held, hold = asyncio.Event(), edge.store.hold

    async def noting_hold(holder: str, name: str, limit: int | None, seconds: float) -> Held:
        result = await hold(holder, name, limit, seconds)
        held.set()
        return result

    monkeypatch.setattr(edge.store, "hold", noting_hold)
    allowances = Allowances(concurrent_answers=1)
    lease = await edge.limiter.admit_answer(
        allowed(ADA, allowances), "queries/a", NIGHT + 300, followed=True
    )
    holder = holder_of(ADA, of_tenant=False)
    async with lease.following():
        for _ in range(5):
            edge.uptime.now += 0.9 * answer_lease.LEASE_SECONDS
            held.clear()
            await held.wait()
            assert edge.store._leases[holder]["queries/a"] == edge.uptime.now + 30
        if ended:
            await lease.end()
    edge.clock.now += edge.uptime.now
    left = (await edge.limiter.remaining(allowed(ADA, allowances)))[Limit.CONCURRENT_ANSWERS]
    assert left.remaining == (1 if ended else 0)
    if not ended:
        assert edge.store._leases[holder]["queries/a"] == edge.uptime.now + 300


async def test_a_follower_that_is_cancelled_leaves_the_place_to_the_answer_too(edge: Edge) -> None:
    lease = await edge.limiter.admit_answer(
        allowed(ADA, Allowances(concurrent_answers=1)), "queries/a", NIGHT + 300, followed=True
    )
    following = asyncio.Event()

    async def follow() -> None:
        async with lease.following():
            following.set()
            await asyncio.Event().wait()

    reader = asyncio.create_task(follow())
    await following.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert edge.store._leases[holder_of(ADA, of_tenant=False)]["queries/a"] == 300
    assert len(asyncio.all_tasks()) == 1


async def test_a_question_whose_deadline_has_passed_holds_no_place(edge: Edge) -> None:
    lease = await edge.limiter.admit_answer(
        allowed(ADA, Allowances(concurrent_answers=1)), "queries/a", NIGHT - 1, followed=False
    )
    async with lease.following():
        pass
    await ask(edge, "queries/b", Allowances(concurrent_answers=1))
