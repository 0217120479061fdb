"""Postgres away, frozen, slow or restarted: errors say so in bounded time, and it heals."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from forebay_postgres import (
    Permissions,
    PostgresSettings,
    Retriever,
    migrate,
    open_retrieve_pool,
    open_write_pool,
)
from forebay_postgres.catalogue_reader import CatalogueReader
from forebay_postgres.documents import DocumentKey
from forebay_postgres.errors import (
    DatabaseUnavailable,
    StatementTimedOut,
    StorageDefect,
    StorageMisconfigured,
)
from forebay_postgres.pool import Pool
from forebay_standalone.postgres_server import PostgresServer

LIMIT_SECONDS = 5.0  # a query has failed by then
TRUSTED_SECONDS = 1.1  # longer ago than that, a connection is asked whether it lives
STALL_SECONDS = 0.7  # a transaction needs a few turns of the loop
ME = Permissions("acme", 1)
DOCUMENT = DocumentKey("acme", "default", "d")


@pytest.fixture
async def own_pool(own_server: PostgresServer) -> AsyncIterator[Pool]:
    settings = PostgresSettings(
        admin_dsn=SecretStr(own_server.admin_dsn),
        retrieve_dsn=SecretStr(own_server.dsn("forebay_retrieve", "r")),
        write_password=SecretStr("w"),
        retrieve_password=SecretStr("r"),
    )
    await asyncio.to_thread(migrate, settings)
    pool = await open_retrieve_pool(settings)
    try:
        yield pool
    finally:
        await pool.close()


async def until_it_answers(pool: Pool) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await CatalogueReader(pool).get(ME, DOCUMENT)
            except DatabaseUnavailable:
                continue
            return


async def test_a_pool_comes_up_without_postgres_and_fails_in_time() -> None:
    settings = PostgresSettings(retrieve_dsn=SecretStr("host=127.0.0.1 port=1 user=nobody"))
    pool = await open_retrieve_pool(settings)
    started = time.monotonic()
    try:
        with pytest.raises(DatabaseUnavailable) as raised:
            await Retriever(pool).serving_index()
    finally:
        await pool.close()
    assert time.monotonic() - started < LIMIT_SECONDS
    assert raised.value.transient
    assert str(raised.value) == "The database is unavailable."


async def test_a_pool_finds_postgres_again_after_a_restart(
    own_pool: Pool, own_server: PostgresServer
) -> None:
    await until_it_answers(own_pool)
    own_server.kill()
    for _ in range(2):
        await require_unavailable_in_time(own_pool)
    own_server.start()
    await asyncio.to_thread(own_server.wait_ready)
    await until_it_answers(own_pool)


async def open_all_connections(pool: Pool) -> None:
    met = asyncio.Barrier(PostgresSettings().retrieve_pool_size)

    async def hold() -> None:
        async with pool.transaction() as connection:
            await connection.execute("SELECT 1")
            await met.wait()

    await asyncio.gather(*(hold() for _ in range(met.parties)))


async def test_connections_that_died_while_they_were_idle_fail_nobody(
    own_pool: Pool, own_server: PostgresServer
) -> None:
    await open_all_connections(own_pool)
    own_server.kill()
    own_server.start()
    await asyncio.to_thread(own_server.wait_ready)
    await asyncio.sleep(TRUSTED_SECONDS)  # nobody uses the pool for a while
    assert await CatalogueReader(own_pool).get(ME, DOCUMENT) is None


async def test_an_event_loop_that_hardly_turns_is_no_outage(own_pool: Pool) -> None:
    await until_it_answers(own_pool)
    asked = asyncio.create_task(CatalogueReader(own_pool).get(ME, DOCUMENT))
    while not asked.done():
        await asyncio.sleep(0)
        time.sleep(STALL_SECONDS)  # noqa: ASYNC251 as a crowd of other tasks does
    assert asked.result() is None


async def require_unavailable_in_time(pool: Pool) -> None:
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        await CatalogueReader(pool).get(ME, DOCUMENT)
    assert time.monotonic() - started < LIMIT_SECONDS


async def test_a_frozen_postgres_is_unavailable_in_time(
    own_pool: Pool, own_server: PostgresServer
) -> None:
    await until_it_answers(own_pool)
    own_server.suspend()
    try:
        await require_unavailable_in_time(own_pool)
    finally:
        own_server.resume()
    await until_it_answers(own_pool)


async def test_a_frozen_postgres_is_unavailable_in_time_however_many_connections_are_idle(
    own_pool: Pool, own_server: PostgresServer
) -> None:
    await open_all_connections(own_pool)
    own_server.suspend()
    try:
        await asyncio.sleep(TRUSTED_SECONDS)  # nobody uses the pool for a while
        await require_unavailable_in_time(own_pool)
    finally:
        own_server.resume()
    await until_it_answers(own_pool)


async def freeze_within_a_transaction(pool: Pool, server: PostgresServer) -> None:
    async with pool.transaction() as connection:
        await connection.execute("SELECT 1")
        server.suspend()
        await connection.execute("SELECT 1")


async def test_a_postgres_that_freezes_during_a_statement_is_unavailable_in_time(
    own_pool: Pool, own_server: PostgresServer
) -> None:
    started = time.monotonic()
    try:
        with pytest.raises(DatabaseUnavailable):
            await freeze_within_a_transaction(own_pool, own_server)
        assert time.monotonic() - started < LIMIT_SECONDS
    finally:
        own_server.resume()
    await until_it_answers(own_pool)


async def test_an_ended_session_is_unavailable(own_pool: Pool) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with own_pool.transaction() as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


async def test_a_slow_statement_says_that_it_was_slow(settings: PostgresSettings) -> None:
    pool = await open_retrieve_pool(
        settings.model_copy(update={"retrieve_statement_timeout_ms": 50})
    )
    try:
        with pytest.raises(StatementTimedOut) as raised:
            async with pool.transaction() as connection:
                await connection.execute("SELECT pg_sleep(30)")
    finally:
        await pool.close()
    assert raised.value.transient


async def sleep_often_within_a_transaction(pool: Pool) -> None:
    async with pool.transaction() as connection:
        while True:
            await connection.execute("SELECT pg_sleep(0.1)")


async def test_a_transaction_that_is_slow_as_a_whole_says_so_too(
    settings: PostgresSettings,
) -> None:
    pool = await open_retrieve_pool(
        settings.model_copy(update={"retrieve_statement_timeout_ms": 300})
    )
    try:
        with pytest.raises(StatementTimedOut):
            await sleep_often_within_a_transaction(pool)
        await until_it_answers(pool)
    finally:
        await pool.close()


async def test_a_refused_statement_quotes_no_content(
    settings: PostgresSettings, caplog: pytest.LogCaptureFixture
) -> None:
    pool = await open_write_pool(settings)
    try:
        with pytest.raises(StorageDefect) as raised:
            async with pool.transaction() as connection:
                await connection.execute("SELECT 'top secret'::uuid")
    finally:
        await pool.close()
    assert raised.value.sqlstate == "22P02"
    assert not raised.value.transient
    assert "secret" not in str(raised.value) + caplog.text
    assert raised.value.__cause__ is None


async def test_a_pool_without_an_address_says_which_setting_is_missing() -> None:
    with pytest.raises(StorageMisconfigured, match="FOREBAY_POSTGRES_WRITE_DSN"):
        await open_write_pool(PostgresSettings())


async def test_who_waits_for_a_busy_pool_is_served_however_long_it_takes(
    own_pool: Pool,
) -> None:
    """Twice the time in which a connection must be had, with four callers a connection."""
    await until_it_answers(own_pool)

    async def busy() -> None:
        async with own_pool.transaction() as connection:
            await connection.execute("SELECT pg_sleep(1)")

    await asyncio.gather(*(busy() for _ in range(4 * PostgresSettings().retrieve_pool_size)))


async def test_an_outage_is_told_to_all_who_wait_at_once(
    own_pool: Pool, own_server: PostgresServer
) -> None:
    await until_it_answers(own_pool)
    own_server.kill()
    started = time.monotonic()
    outcomes = await asyncio.gather(
        *(CatalogueReader(own_pool).get(ME, DOCUMENT) for _ in range(200)),
        return_exceptions=True,
    )
    assert time.monotonic() - started < LIMIT_SECONDS
    assert {type(outcome) for outcome in outcomes} == {DatabaseUnavailable}
