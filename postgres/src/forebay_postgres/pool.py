"""Connection pools of the two roles that serve: they come up without Postgres and find it later."""

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from contextvars import ContextVar
from typing import TypeAlias
from weakref import WeakKeyDictionary

from pgvector.psycopg import register_vector_async
from psycopg import AsyncConnection, IsolationLevel
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic import SecretStr

from forebay_postgres.driver_errors import TIMED_OUT, UNAVAILABLE, driver_errors
from forebay_postgres.errors import (
    DatabaseUnavailable,
    StatementTimedOut,
    StorageMisconfigured,
)
from forebay_postgres.fair_turns import FairTurns
from forebay_postgres.hang_up import STEPS, HungUp, hang_up_after
from forebay_postgres.settings import PostgresSettings

Connection: TypeAlias = AsyncConnection[TupleRow]
Configure: TypeAlias = Callable[[Connection], Awaitable[None]]

_CONNECT_TIMEOUT_SECONDS = 2  # the least that libpq takes
_CHECK_SECONDS = 1.0  # an idle connection that does not answer by then is replaced
_TRUSTED_SECONDS = 1.0  # since its last answer: asking first would double what a short call costs
_RECONNECT_SECONDS = 2.0  # then the next caller starts an attempt: nobody waits out a back-off
_TOLD_SECONDS = 0.5  # an outage that somebody found is told to others for so long
_STILL_AWAY_SECONDS = 0.5  # then the next one looks: time enough for a connection, if it is back
_SERVING_SECONDS = 1.0  # of a Postgres that is overloaded, somebody hears more often than that
_GRACE_SECONDS = 0.5  # the server ends its statement first, with a reason, if it still can
_LOCK_TIMEOUT_MS = 10_000  # two writers of one document wait for one transaction
_IDLE_IN_TRANSACTION_MS = 60_000  # a stopped worker gives its row locks back

_hang_ups = ContextVar("hang_ups", default=0)  # of idle connections, on whoever runs


class Answers:
    """Knows which connections answered a moment ago."""

    def __init__(self) -> None:
        self._heard: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()

    def heard(self, connection: Connection) -> None:
        """Note that it answered just now."""
        self._heard[connection] = time.monotonic()

    async def check(self, connection: Connection) -> None:
        """Ask a connection whether it works, unless it answered a moment ago; raises when not."""
        if self._heard.get(connection, -math.inf) > time.monotonic() - _TRUSTED_SECONDS:
            return
        try:
            with hang_up_after(connection, _CHECK_SECONDS):
                await AsyncConnectionPool.check_connection(connection)
        except HungUp:
            _hang_ups.set(_hang_ups.get() + 1)
            raise


class Pool:
    """Connections of one role. Transactions raise DatabaseUnavailable in bounded time.

    That is said of Postgres alone: who waits because others are being served, waits.
    """

    def __init__(
        self,
        connections: AsyncConnectionPool[Connection],
        answers: Answers,
        statement_seconds: float,
    ) -> None:
        self._connections = connections
        self._answers = answers
        self._limit_seconds = statement_seconds + _GRACE_SECONDS
        self._turns = FairTurns(connections.max_size)
        self._outage = self._served = -math.inf

    @asynccontextmanager
    async def transaction(
        self, tenant: str = "", *, pipelined: bool = False
    ) -> AsyncIterator[Connection]:
        """Commit when the block is left, roll back when it raises; the driver's errors become ours.

        The block as a whole has one statement timeout and a little. `tenant` is who waits for it:
        while connections are short, tenants take turns. Pipelined, the block's beginning and its
        end travel with its statements: one round trip for all instead of one for each.
        """
        async with self._turn(tenant):
            with driver_errors():
                async with self._connection() as connection:
                    with hang_up_after(connection, self._limit_seconds):
                        pipeline = connection.pipeline() if pipelined else nullcontext()
                        async with pipeline, connection.transaction():
                            yield connection
                    self._answers.heard(connection)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        connection = await self._taken()
        try:
            async with connection:
                yield connection
        finally:
            await self._connections.putconn(connection)

    async def _taken(self) -> Connection:
        """Take a connection.

        In a burst, opening another one may wait for a processor, and the event loop too: both are
        given time. In an outage that somebody waited out just now, nobody else waits as long.
        """
        seconds = self._connections.timeout / STEPS
        if self._is_away(since=-math.inf):
            seconds = _STILL_AWAY_SECONDS / STEPS
        since, steps = time.monotonic(), 0.0
        while True:
            began, hang_ups = time.monotonic(), _hang_ups.get()
            try:
                return await self._connections.getconn(seconds)
            except PoolTimeout:
                now = time.monotonic()
                if self._served > since:
                    since, steps = now, 0.0
                    continue
                # Connections that were lost while they were idle end a step at once: the pool gives
                # up at the second, and there may be one for each place. One that never answered
                # counts for all of its time: there, a loop that stood still was allowed for.
                hung_up = (_hang_ups.get() - hang_ups) * _CHECK_SECONDS / seconds
                steps += hung_up or now - began >= seconds
                if steps >= STEPS:  # nobody is being served: it is Postgres
                    raise

    @asynccontextmanager
    async def _turn(self, tenant: str) -> AsyncIterator[None]:
        came = time.monotonic()
        if self._is_away(since=came - _TOLD_SECONDS):
            raise DatabaseUnavailable(UNAVAILABLE)
        async with self._turns.turn(tenant):
            if self._is_away(since=came):
                raise DatabaseUnavailable(UNAVAILABLE)
            try:
                yield
                self._served = time.monotonic()
            except StatementTimedOut:
                raise
            except DatabaseUnavailable as error:
                now = time.monotonic()
                if self._served <= now - _SERVING_SECONDS:
                    self._outage = now
                if isinstance(error, HungUp):  # it may as well be the transaction: who tries again
                    raise StatementTimedOut(TIMED_OUT) from error  # learns whether it is away
                raise DatabaseUnavailable(UNAVAILABLE) from error

    def _is_away(self, *, since: float) -> bool:
        """Whether somebody found it away since then, and nobody has been served after that.

        In an outage everybody in turn would wait for a connection that never comes.
        """
        return self._outage > max(since, self._served)

    async def close(self) -> None:
        """Close all connections; those in use when they are given back."""
        await self._connections.close()


async def open_write_pool(settings: PostgresSettings) -> Pool:
    """Open the pool of role forebay_write, without waiting for Postgres."""
    milliseconds, answers = settings.write_statement_timeout_ms, Answers()
    options = (
        f"-c statement_timeout={milliseconds} -c lock_timeout={_LOCK_TIMEOUT_MS} "
        f"-c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION_MS}"
    )
    connections = _connections(
        _conninfo(settings.write_dsn, "FOREBAY_POSTGRES_WRITE_DSN", options),
        settings.write_pool_size,
        settings.acquire_timeout_seconds,
        _configure_write,
        answers,
    )
    await connections.open(wait=False)
    return Pool(connections, answers, milliseconds / 1000)


async def open_retrieve_pool(settings: PostgresSettings) -> Pool:
    """Open the pool of role forebay_retrieve: read-only transactions on one snapshot each."""
    milliseconds, answers = settings.retrieve_statement_timeout_ms, Answers()
    connections = _connections(
        _conninfo(
            settings.retrieve_dsn,
            "FOREBAY_POSTGRES_RETRIEVE_DSN",
            f"-c statement_timeout={milliseconds}",
        ),
        settings.retrieve_pool_size,
        settings.acquire_timeout_seconds,
        _configure_retrieve,
        answers,
    )
    await connections.open(wait=False)
    return Pool(connections, answers, milliseconds / 1000)


def _conninfo(dsn: SecretStr | None, variable: str, options: str) -> str:
    if dsn is None:
        raise StorageMisconfigured(f"{variable} is not set.")
    given: dict[str, str | int | None] = dict(conninfo_to_dict(dsn.get_secret_value()))
    own = f"{given.get('options') or ''} {options} -c search_path=forebay".strip()
    defaults: dict[str, str | int] = {
        "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
        "application_name": "forebay",
    }
    return make_conninfo("", **{**defaults, **given, "options": own})


def _connections(
    dsn: str, size: int, acquire_seconds: float, configure: Configure, answers: Answers
) -> AsyncConnectionPool[Connection]:
    return AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=size,
        timeout=acquire_seconds,
        reconnect_timeout=_RECONNECT_SECONDS,
        configure=configure,
        check=answers.check,
        open=False,
    )


async def _configure_write(connection: Connection) -> None:
    await register_vector_async(connection)
    await connection.commit()


async def _configure_retrieve(connection: Connection) -> None:
    await register_vector_async(connection)
    await connection.commit()
    # All statements of one search see one state of catalogue and index.
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    await connection.set_read_only(value=True)
