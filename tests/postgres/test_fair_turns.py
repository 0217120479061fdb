"""Turns between tenants, as the pool gives them."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay_postgres.fair_turns import FairTurns


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Takers of turns, each of which holds its turn until it is told to let go."""

    def __init__(self, places: int) -> None:
        self.turns = FairTurns(places)
        self.holding: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._leaving: dict[str, asyncio.Event] = {}

    async def come(self, tenant: str, name: str) -> None:
        self._leaving[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._hold(tenant, name))
        await settle()

    async def leave(self, name: str) -> None:
        self._leaving[name].set()
        await self.tasks.pop(name)
        await settle()

    async def _hold(self, tenant: str, name: str) -> None:
        async with self.turns.turn(tenant):
            self.holding.append(name)
            try:
                await self._leaving[name].wait()
            finally:
                self.holding.remove(name)

    async def go_home(self) -> None:
        for name in list(self.tasks):
            self._leaving[name].set()
        await asyncio.gather(*self.tasks.values())


async def test_a_newcomer_is_before_the_crowd_of_another_tenant() -> None:
    crowd = Crowd(places=2)
    for number in range(10):
        await crowd.come("many", f"many-{number}")
    await crowd.come("one", "one-0")
    await crowd.leave("many-0")
    assert crowd.holding == ["many-1", "one-0"]
    await crowd.go_home()


async def test_a_tenant_takes_its_turns_in_the_order_of_asking() -> None:
    crowd = Crowd(places=1)
    for number in range(4):
        await crowd.come("a", f"a-{number}")
    for number in range(4):
        assert crowd.holding == [f"a-{number}"]
        await crowd.leave(f"a-{number}")


async def test_equals_take_turns() -> None:
    crowd = Crowd(places=1)
    for number in range(3):
        for tenant in "abc":
            await crowd.come(tenant, f"{tenant}-{number}")
    order = []
    while crowd.holding:
        order.append(crowd.holding[0])
        await crowd.leave(crowd.holding[0])
    assert [name[0] for name in order] == list("abcabcabc")


async def test_who_is_cancelled_while_waiting_takes_no_turn() -> None:
    crowd = Crowd(places=1)
    for name in ("first", "cancelled", "last"):
        await crowd.come("a", name)
    crowd.tasks["cancelled"].cancel()
    await crowd.leave("first")
    assert crowd.holding == ["last"]
    await crowd.leave("last")


async def test_a_turn_that_is_granted_to_somebody_cancelled_goes_on_to_the_next() -> None:
    crowd = Crowd(places=1)
    for name in ("first", "cancelled", "last"):
        await crowd.come("a", name)
    first = crowd.tasks["first"]
    first.add_done_callback(lambda _: crowd.tasks["cancelled"].cancel())
    await crowd.leave("first")
    with pytest.raises(asyncio.CancelledError):
        await crowd.tasks.pop("cancelled")
    await settle()
    assert crowd.holding == ["last"]
    await crowd.leave("last")


@given(st.integers(1, 3), st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_no_turn_is_lost_and_none_is_given_twice(
    places: int, arrivals: list[tuple[str, bool]]
) -> None:
    async def come_and_go() -> None:
        crowd = Crowd(places)
        for number, (tenant, cancelled) in enumerate(arrivals):
            await crowd.come(tenant, f"{tenant}-{number}")
            if cancelled:
                crowd.tasks.pop(f"{tenant}-{number}").cancel()
                await settle()
            assert len(crowd.holding) == min(places, len(crowd.tasks))
            held = Counter(name[0] for name in crowd.holding)
            assert held.total() <= places
        await crowd.go_home()
        assert crowd.holding == []
        for number in range(places):
            await crowd.come("z", f"z-{number}")
        assert len(crowd.holding) == places
        await crowd.go_home()

    asyncio.run(come_and_go())
