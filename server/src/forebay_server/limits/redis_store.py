"""Counting in Redis, for edges of many processes and machines."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Self, cast

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from forebay_server.limits.store import WINDOW_SECONDS, Counted, Held, StoreDown

CALLS_KEY = "forebay:calls:"
LEASES_KEY = "forebay:leases:"
CONNECTIONS = 8  # at a round trip of 1 ms that is more than a process can admit
PATIENCE_SECONDS = 1.0  # above any pause of a healthy store, and of a busy process
PAUSE_SECONDS = 1.0  # between attempts at a store that is down; everybody else fails at once

# The times of the last minute's admitted calls, oldest first. All times in Redis are milliseconds
# of its own clock: edges' clocks may differ.
CALLS_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local oldest = redis.call('LINDEX', KEYS[1], 0)
while oldest and tonumber(oldest) <= now - window do
    redis.call('LPOP', KEYS[1])
    oldest = redis.call('LINDEX', KEYS[1], 0)
end
local used = redis.call('LLEN', KEYS[1])
if used < limit then
    redis.call('RPUSH', KEYS[1], string.format('%d', now))
    redis.call('PEXPIRE', KEYS[1], window)
    return {1, used + 1, 0, window}
end
local free_in, reset_in = 0, 0
if limit > 0 then
    free_in = redis.call('LINDEX', KEYS[1], used - limit) + window - now
end
if used > 0 then
    reset_in = redis.call('LINDEX', KEYS[1], -1) + window - now
end
return {0, used, free_in, reset_in}
"""
# The names of leases with their ends. A limit below 0 is none.
LEASES_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local name, limit, milliseconds = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local new = redis.call('ZSCORE', KEYS[1], name) == false
local granted = not new or limit < 0 or redis.call('ZCARD', KEYS[1]) < limit
if granted then
    redis.call('ZADD', KEYS[1], now + milliseconds, name)
    local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
    redis.call('PEXPIREAT', KEYS[1], last[2])
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local free_in = first[2] and first[2] - now or 0
return {granted and 1 or 0, new and 1 or 0, redis.call('ZCARD', KEYS[1]), free_in}
"""

_log = logging.getLogger(__name__)


class RedisStore:
    """The LimitStore that many processes share; `async with RedisStore(url) as store`.

    The URL is Redis's own: `redis://`, `rediss://` or `unix://`; ValueError for any other. Every
    script touches one key, atomically, and every key ends with what it holds. Installations that
    share a server take different databases of it.
    """

    def __init__(self, url: str) -> None:
        self._client = _client(url)
        self._count: AsyncScript = self._client.register_script(CALLS_SCRIPT)
        self._lease: AsyncScript = self._client.register_script(LEASES_SCRIPT)
        # In turn: a pool that blocks gives connections to whoever comes, and lets others starve.
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._down = False
        self._next_attempt = 0.0

    async def __aenter__(self) -> Self:
        """Connections are made when they are needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def count_call(self, holder: str, limit: int) -> Counted:
        """See LimitStore."""
        window = int(WINDOW_SECONDS * 1000)
        reply = await self._asked(self._count, CALLS_KEY + holder, (limit, window))
        return Counted(bool(reply[0]), reply[1], reply[2] / 1000, reply[3] / 1000)

    async def hold(self, holder: str, name: str, limit: int | None, seconds: float) -> Held:
        """See LimitStore."""
        arguments = (name, -1 if limit is None else limit, int(seconds * 1000))
        reply = await self._asked(self._lease, LEASES_KEY + holder, arguments)
        return Held(bool(reply[0]), bool(reply[1]), reply[2], reply[3] / 1000)

    async def release(self, holder: str, name: str) -> None:
        """See LimitStore."""
        await self._guarded(lambda: self._client.zrem(LEASES_KEY + holder, name))

    async def _asked(
        self, script: AsyncScript, key: str, arguments: Sequence[int | str]
    ) -> list[int]:
        reply = await self._guarded(lambda: script(keys=[key], args=arguments))
        return cast("list[int]", reply)

    async def _guarded(self, ask: Callable[[], Awaitable[object]]) -> object:
        async with self._turns:
            now = time.monotonic()
            if self._down:
                if now < self._next_attempt:
                    raise StoreDown
                # Whoever comes first tries; the others do not wait for it.
                self._next_attempt = now + PATIENCE_SECONDS + PAUSE_SECONDS
            try:
                reply = await ask()
            except (RedisError, OSError) as error:
                self._report(error)
                raise StoreDown from error
            self._report(None)
            return reply

    def _report(self, error: Exception | None) -> None:
        was_down, self._down = self._down, error is not None
        if error is None:
            if was_down:
                _log.warning("the store of limits answers again")
            return
        self._next_attempt = time.monotonic() + PAUSE_SECONDS
        if not was_down:
            # Not the error's text: what a server says may quote keys or credentials.
            _log.warning("the store of limits is down", extra={"error": type(error).__name__})


def _client(url: str) -> Redis:
    pool = ConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        socket_timeout=PATIENCE_SECONDS,
        socket_connect_timeout=PATIENCE_SECONDS,
        protocol=2,  # one message less to connect; the newer one's push messages are of no use
        # A connection that died while it was idle: a new one, once. Never after a timeout, which
        # would double the wait.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )
    return Redis.from_pool(pool)
