"""Stores count exactly, forget in time, and come back."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
from pydantic import SecretStr

from forebay_kafka.watched_file import ConfigurationInvalid
from forebay_server.limits import redis_store
from forebay_server.limits.memory_store import MemoryStore
from forebay_server.limits.redis_store import RedisStore
from forebay_server.limits.store import LimitStore, StoreDown
from forebay_server.limits.stores import limit_store

from .limited import RedisServer, Turned, redis_server

HOLDER = "00ff"
LEASE_SECONDS = 1.0
HOLD_UNTIL_KILLED = """
import asyncio, sys
from forebay_server.limits.redis_store import RedisStore

async def main():
    async with RedisStore(sys.argv[1]) as store:
        while True:
            await store.hold(sys.argv[2], "queries/a", 1, float(sys.argv[3]))
            print("held", flush=True)
            await asyncio.sleep(float(sys.argv[3]) / 4)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(params=["memory", "redis"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[list[LimitStore]]:
    """Two edges' stores: one memory, or two clients of one Redis, which has nothing in it."""
    if request.param == "memory":
        memory = MemoryStore()
        yield [memory, memory]
        return
    url = request.getfixturevalue("redis").url
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(RedisStore(url)) for _ in range(2)]
        await clients[0]._client.flushall()
        yield list(clients)


async def test_of_200_calls_at_once_through_two_edges_exactly_the_limit_is_admitted(
    stores: list[LimitStore],
) -> None:
    for round_number in range(5):
        holder = f"{HOLDER}{round_number}"
        counted = await asyncio.gather(*(stores[i % 2].count_call(holder, 77) for i in range(200)))
        assert sum(each.admitted for each in counted) == 77
        assert sorted(each.used for each in counted if each.admitted) == list(range(1, 78))
        assert all(0 < each.free_in <= 60 for each in counted if not each.admitted)


async def test_of_200_answers_at_once_through_two_edges_exactly_the_limit_is_let_in(
    stores: list[LimitStore],
) -> None:
    held = await asyncio.gather(
        *(stores[i % 2].hold(HOLDER, f"queries/{i}", 33, 30) for i in range(200))
    )
    assert sum(each.granted for each in held) == 33
    assert (await stores[1].hold(HOLDER, "", 0, 0)).under_way == 33


async def test_holders_do_not_count_for_one_another(stores: list[LimitStore]) -> None:
    for store, holder in zip(stores, ("aa", "bb"), strict=True):
        assert (await store.count_call(holder, 1)).admitted
        assert not (await store.count_call(holder, 1)).admitted
        assert (await store.hold(holder, "queries/a", 1, 30)).granted


async def test_looking_counts_nothing(stores: list[LimitStore]) -> None:
    assert (await stores[0].count_call(HOLDER, 0)).used == 0
    await stores[0].count_call(HOLDER, 5)
    for _ in range(3):
        seen = await stores[1].count_call(HOLDER, 0)
        assert (seen.admitted, seen.used) == (False, 1)
        assert 59 < seen.reset_in <= 60
        assert (await stores[1].hold(HOLDER, "", 0, 0)).under_way == 0


async def test_a_limit_that_was_lowered_says_when_enough_is_forgotten(
    stores: list[LimitStore],
) -> None:
    for _ in range(3):
        await asyncio.sleep(0.02)  # calls at different times
        await stores[0].count_call(HOLDER, 5)
    lowered = await stores[1].count_call(HOLDER, 1)
    assert not lowered.admitted
    # Not when the oldest is forgotten: the last one has to be, as it is the one that is allowed.
    assert lowered.free_in == lowered.reset_in > 59


async def test_a_lease_is_one_however_often_and_wherever_it_is_asked_for(
    stores: list[LimitStore],
) -> None:
    first = await stores[0].hold(HOLDER, "queries/a", 1, 30)
    again = await stores[1].hold(HOLDER, "queries/a", 1, 30)
    assert (first.granted, first.new, again.granted, again.new) == (True, True, True, False)
    other = await stores[1].hold(HOLDER, "queries/b", 1, 30)
    assert (other.granted, other.under_way) == (False, 1)
    assert 29 < other.free_in <= 30
    await stores[1].release(HOLDER, "queries/a")
    assert (await stores[0].hold(HOLDER, "queries/b", 1, 30)).granted


async def test_a_renewal_is_granted_above_the_limit(stores: list[LimitStore]) -> None:
    await stores[0].hold(HOLDER, "queries/a", 1, 30)
    resumed = await stores[0].hold(HOLDER, "queries/b", None, 30)
    assert (resumed.granted, resumed.under_way) == (True, 2)
    assert not (await stores[0].hold(HOLDER, "queries/c", 2, 30)).granted


async def test_everybody_gets_a_turn_where_connections_are_few(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "CONNECTIONS", 1)
    done = [0] * 20

    async def call(store: RedisStore, number: int) -> None:
        for _ in range(20):
            await store.count_call(HOLDER, 1)
            done[number] += 1
            assert max(done) - min(done) <= 2

    async with RedisStore(redis.url) as store:
        await asyncio.gather(*(call(store, number) for number in range(len(done))))


async def test_releasing_what_is_not_there_is_no_error(stores: list[LimitStore]) -> None:
    await stores[0].release(HOLDER, "queries/none")


async def test_a_minute_is_over_exactly_after_sixty_seconds_and_never_all_at_once() -> None:
    clock = Turned(59.5)
    store = MemoryStore(clock)
    assert (await store.count_call(HOLDER, 2)).admitted
    clock.now = 60.5  # another minute of the wall clock: no new allowance
    assert (await store.count_call(HOLDER, 2)).admitted
    refused = await store.count_call(HOLDER, 2)
    assert (refused.admitted, refused.free_in, refused.reset_in) == (False, 59.0, 60.0)
    clock.now = 119.499
    assert not (await store.count_call(HOLDER, 2)).admitted
    clock.now = 119.5
    assert (await store.count_call(HOLDER, 2)).admitted
    assert not (await store.count_call(HOLDER, 2)).admitted


async def test_a_lease_in_memory_ends_when_it_is_due() -> None:
    clock = Turned(0)
    store = MemoryStore(clock)
    await store.hold(HOLDER, "queries/a", 1, 30)
    clock.now = 29.9
    assert not (await store.hold(HOLDER, "queries/b", 1, 30)).granted
    clock.now = 30
    assert (await store.hold(HOLDER, "queries/b", 1, 30)).granted


async def test_redis_admits_again_when_it_said_so(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "WINDOW_SECONDS", 0.3)
    async with RedisStore(redis.url) as store:
        await store._client.flushall()
        assert (await store.count_call(HOLDER, 1)).admitted
        refused = await store.count_call(HOLDER, 1)
        assert not refused.admitted
        assert 0 < refused.free_in <= 0.3
        await asyncio.sleep(refused.free_in)  # what a client is told to do
        assert (await store.count_call(HOLDER, 1)).admitted


async def test_ten_thousand_subjects_leave_memory_once_they_stay_away() -> None:
    clock = Turned(0)
    store = MemoryStore(clock)
    for number in range(10_000):
        await store.count_call(f"{number}", 600)
        await store.hold(f"{number}", "queries/a", 5, 30)
    assert len(store._calls) == len(store._leases) == 10_000
    clock.now = 61
    for number in range(10_000, 20_000):
        await store.count_call(f"{number}", 600)
        await store.hold(f"{number}", "queries/a", 5, 30)
        # Never more than the old ones, and the new ones as they come.
        assert max(len(store._calls), len(store._leases)) <= 10_000
    assert set(store._calls) == set(store._leases) == {str(n) for n in range(10_000, 20_000)}


async def test_everything_in_redis_ends_by_itself(redis: RedisServer) -> None:
    async with RedisStore(redis.url) as store:
        await store._client.flushall()
        for number in range(50):
            await store.count_call(f"{number}", 600)
            await store.hold(f"{number}", "queries/a", 5, 30)
            # A short lease does not shorten the others.
            await store.hold(f"{number}", "queries/b", 5, 1)
        keys = [key async for key in store._client.scan_iter()]
        lives = [await store._client.pttl(key) for key in keys]
    assert len(lives) == 100
    assert all(1_000 < life <= 60_000 for life in lives)


async def test_the_lease_of_a_killed_edge_ends_and_that_of_a_living_one_does_not(
    redis: RedisServer,
) -> None:
    async with RedisStore(redis.url) as store:
        await store._client.flushall()
        command = [sys.executable, "-c", HOLD_UNTIL_KILLED, redis.url, HOLDER, str(LEASE_SECONDS)]
        holder = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert holder.stdout is not None
        try:
            # Many renewals: three times as long as the lease that it took first.
            for _ in range(12):
                assert await holder.stdout.readline() == b"held\n"
                assert not (await store.hold(HOLDER, "queries/b", 1, 30)).granted
        finally:
            holder.kill()
            await holder.wait()
        killed = time.monotonic()
        while not (refused := await store.hold(HOLDER, "queries/b", 1, 30)).granted:
            assert refused.free_in <= LEASE_SECONDS
            await asyncio.sleep(refused.free_in)
        assert time.monotonic() - killed < LEASE_SECONDS + 1


async def test_a_store_that_was_killed_says_so_once_fails_fast_and_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with redis_server() as server:
        async with RedisStore(server.url) as store:
            assert (await store.count_call(HOLDER, 10)).admitted
            server.kill()
            started = time.monotonic()
            for _ in range(200):
                with pytest.raises(StoreDown):
                    await store.count_call(HOLDER, 10)
            assert time.monotonic() - started < 20 * redis_store.PATIENCE_SECONDS
            server.start()
            store._next_attempt = 0.0  # the pause is over
            assert (await store.count_call("another", 10)).admitted
            # Connections and scripts of the former server are gone, and nobody notices.
            counted = await asyncio.gather(*(store.count_call(HOLDER, 10) for _ in range(50)))
            assert sum(each.admitted for each in counted) == 10
            assert (await store.hold(HOLDER, "queries/a", 1, 30)).granted
    said = [record.message for record in caplog.records if record.name == redis_store.__name__]
    assert said == ["the store of limits is down", "the store of limits answers again"]


async def test_a_store_that_hangs_costs_a_second_and_then_nothing() -> None:
    silent = socket.create_server(("127.0.0.1", 0))  # the kernel connects, and nobody reads
    port = silent.getsockname()[1]
    async with RedisStore(f"redis://127.0.0.1:{port}") as store:
        for at_most in (3 * redis_store.PATIENCE_SECONDS, redis_store.PATIENCE_SECONDS):
            started = time.monotonic()
            with pytest.raises(StoreDown):
                await store.count_call(HOLDER, 10)
            assert time.monotonic() - started < at_most
    silent.close()


async def test_a_url_says_where_calls_are_counted(redis: RedisServer) -> None:
    async with limit_store(None) as memory, limit_store(SecretStr(redis.url)) as shared:
        assert isinstance(memory, MemoryStore)
        assert isinstance(shared, RedisStore)


async def test_what_is_no_url_of_redis_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigurationInvalid) as raised:
        async with limit_store(SecretStr("http://user:secret@store")):
            pass
    assert str(raised.value) == "FOREBAY_LIMITS_URL: no URL of Redis"
