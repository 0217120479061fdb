import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from forebay_server.errors import IssuerUnavailable, TokenInvalid
from forebay_server.governance.issuers import Issuer
from forebay_server.governance.key_cache import MAX_BYTES, KeyCache, key_loader
from forebay_server.governance.tokens import TokenAuthenticator, TrustedIssuer

from .keys import AUDIENCE, ISSUER, KeyServer, ec_key, public_jwk, token

OLD, NEW = ec_key(), ec_key()
COOL_DOWN, FRESH, HARD = 30, 300, 3600


class Turned:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Judge:
    def __init__(self, cache: KeyCache, authenticator: TokenAuthenticator, clock: Turned) -> None:
        self.cache = cache
        self.clock = clock
        self._authenticator = authenticator

    async def accepts(self, key: Any, kid: str) -> None:
        now = int(self.clock())
        made = token(key, kid, iat=now, exp=now + 600)
        await self._authenticator.authenticate(f"Bearer {made}")

    async def refreshed(self) -> None:
        """Wait for the refresh that runs beside the calls."""
        task = self.cache._refresh_task
        assert task is not None
        await task


@pytest.fixture
async def judge(keys: KeyServer) -> AsyncIterator[Judge]:
    keys.keys = [public_jwk(OLD, "old")]
    issuer = Issuer.model_validate(
        {
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "jwks_url": keys.url,
            "cool_down_seconds": COOL_DOWN,
            "fresh_seconds": FRESH,
            "hard_age_seconds": HARD,
        }
    )
    clock = Turned()
    async with httpx.AsyncClient() as client:
        cache = KeyCache(issuer, key_loader(issuer, client), clock)
        authenticator = TokenAuthenticator([TrustedIssuer(issuer, cache)], clock)
        yield Judge(cache, authenticator, clock)
        await authenticator.close()


async def test_keys_are_fetched_once_for_many_tokens(judge: Judge, keys: KeyServer) -> None:
    for _ in range(5):
        await judge.accepts(OLD, "old")
    assert keys.requests == 1


async def test_a_new_key_is_found_without_a_restart(judge: Judge, keys: KeyServer) -> None:
    await judge.accepts(OLD, "old")
    keys.keys.append(public_jwk(NEW, "new"))
    judge.clock.now += COOL_DOWN
    await judge.accepts(NEW, "new")


async def test_unknown_keys_lead_to_one_fetch_per_cool_down(judge: Judge, keys: KeyServer) -> None:
    await judge.accepts(OLD, "old")
    judge.clock.now += COOL_DOWN
    for number in range(5):
        with pytest.raises(TokenInvalid, match="kid"):
            await judge.accepts(NEW, f"guess-{number}")
    assert keys.requests == 2


async def test_a_withdrawn_key_ends_the_tokens_that_were_remembered(
    judge: Judge, keys: KeyServer
) -> None:
    now = int(judge.clock())
    made = f"Bearer {token(OLD, 'old', iat=now, exp=now + 3600)}"
    await judge._authenticator.authenticate(made)
    keys.keys = [public_jwk(NEW, "old")]
    judge.clock.now += FRESH + 1
    await judge._authenticator.authenticate(made)
    await judge.refreshed()
    with pytest.raises(TokenInvalid, match="signature"):
        await judge._authenticator.authenticate(made)


async def test_an_outage_is_served_from_memory_up_to_the_hard_age(
    judge: Judge, keys: KeyServer
) -> None:
    await judge.accepts(OLD, "old")
    keys.status = 503
    judge.clock.now += HARD - 1
    await judge.accepts(OLD, "old")
    await judge.refreshed()
    judge.clock.now += 2 + COOL_DOWN
    with pytest.raises(IssuerUnavailable):
        await judge.accepts(OLD, "old")
    keys.status = 200
    judge.clock.now += COOL_DOWN
    await judge.accepts(OLD, "old")


async def test_in_an_outage_nobody_is_told_that_an_unknown_key_is_bad(
    judge: Judge, keys: KeyServer
) -> None:
    await judge.accepts(OLD, "old")
    keys.status = 503
    judge.clock.now += COOL_DOWN
    with pytest.raises(IssuerUnavailable):
        await judge.accepts(NEW, "new")


async def test_an_issuer_that_was_never_reached_is_unavailable(
    judge: Judge, keys: KeyServer
) -> None:
    keys.status = 500
    with pytest.raises(IssuerUnavailable):
        await judge.accepts(OLD, "old")


async def test_a_redirect_is_not_followed(judge: Judge, keys: KeyServer) -> None:
    keys.status, keys.location = 302, keys.url
    with pytest.raises(IssuerUnavailable):
        await judge.accepts(OLD, "old")
    assert keys.requests == 1


async def test_a_set_of_keys_over_the_limit_is_not_taken(judge: Judge, keys: KeyServer) -> None:
    keys.padding = MAX_BYTES
    with pytest.raises(IssuerUnavailable):
        await judge.accepts(OLD, "old")
