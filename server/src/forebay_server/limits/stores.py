"""Which store an edge counts in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from forebay_kafka.watched_file import ConfigurationInvalid
from forebay_server.limits.memory_store import MemoryStore
from forebay_server.limits.redis_store import RedisStore
from forebay_server.limits.store import LimitStore


@asynccontextmanager
async def limit_store(url: SecretStr | None) -> AsyncIterator[LimitStore]:
    """The Redis behind a URL, or this process's memory; it is not asked anything yet.

    Raises ConfigurationInvalid for what is no URL of Redis; its text does not repeat the URL,
    which may hold a password.
    """
    if url is None:
        yield MemoryStore()
        return
    try:
        store = RedisStore(url.get_secret_value())
    except ValueError as error:
        raise ConfigurationInvalid("FOREBAY_LIMITS_URL: no URL of Redis") from error
    async with store:
        yield store
