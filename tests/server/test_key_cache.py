import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
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


async def refused_rule(judge: Judge, kid: str) -> str:
    with pytest.raises(TokenInvalid) as refused:
        await judge.accepts(NEW, kid)
    return refused.value.rule


async def test_a_thousand_names_of_unknown_keys_lead_to_two_fetches_at_most(
    judge: Judge, keys: KeyServer
) -> None:
    judge.clock.now += COOL_DOWN
    guesses = [refused_rule(judge, f"guess-{number}") for number in range(1000)]
    assert set(await asyncio.gather(*guesses)) == {"kid"}
    assert keys.requests <= 2


async def test_unknown_keys_lead_to_one_fetch_per_cool_down(judge: Judge, keys: KeyServer) -> None:
    await judge.accepts(OLD, "old")
    for rounds in range(1, 4):
        judge.clock.now += COOL_DOWN
        for number in range(50):
            assert await refused_rule(judge, f"guess-{number}") == "kid"
        assert keys.requests == 1 + rounds


async def test_guesses_do_not_keep_a_new_key_out(judge: Judge, keys: KeyServer) -> None:
    await judge.accepts(OLD, "old")
    assert await refused_rule(judge, "guess") == "kid"
    keys.keys.append(public_jwk(NEW, "new"))
    for _ in range(COOL_DOWN):
        judge.clock.now += 1
        with contextlib.suppress(TokenInvalid):
            await judge.accepts(NEW, "guess")
    await judge.accepts(NEW, "new")


async def test_callers_of_an_outage_share_one_fetch(judge: Judge, keys: KeyServer) -> None:
    keys.status = 503
    outcomes = await asyncio.gather(
        *(judge.accepts(OLD, "old") for _ in range(100)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {IssuerUnavailable}
    assert keys.requests == 1


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


async def test_an_issuer_that_shows_no_key_any_more_has_withdrawn_them_all(
    judge: Judge, keys: KeyServer
) -> None:
    await judge.accepts(OLD, "old")
    keys.keys = []
    judge.clock.now += FRESH + 1
    await judge.accepts(OLD, "old")
    await judge.refreshed()
    with pytest.raises(TokenInvalid) as refused:
        await judge.accepts(OLD, "old")
    assert refused.value.metadata == {"rule": "kid"}


async def test_a_clock_that_is_set_back_makes_keys_no_younger(
    judge: Judge, keys: KeyServer
) -> None:
    await judge.accepts(OLD, "old")
    keys.keys = [public_jwk(NEW, "new")]
    judge.clock.now -= 10 * HARD
    with pytest.raises(TokenInvalid):
        await judge.accepts(OLD, "old")
    assert keys.requests == 2


async def test_a_clock_that_is_set_right_by_a_little_costs_no_fetch(
    judge: Judge, keys: KeyServer
) -> None:
    await judge.accepts(OLD, "old")
    keys.status = 503
    judge.clock.now -= COOL_DOWN - 1
    await judge.accepts(OLD, "old")
    assert keys.requests == 1


def shown(*kids: str) -> str:
    return json.dumps({"keys": [public_jwk(OLD, kid) for kid in kids]})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(shown("old"))
    return path


@pytest.fixture
def clock() -> Turned:
    return Turned()


@pytest.fixture
async def filed(path: Path, clock: Turned) -> AsyncIterator[KeyCache]:
    """The cache of an issuer whose keys stand in a file."""
    issuer = Issuer.model_validate({"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": path})
    async with httpx.AsyncClient() as client:
        cache = KeyCache(issuer, key_loader(issuer, client), clock)
        yield cache
        await cache.close()


def rotated(path: Path) -> None:
    path.write_text(shown("new"))


async def test_keys_in_a_file_are_rotated_without_a_restart(
    path: Path, clock: Turned, filed: KeyCache
) -> None:
    assert await filed.find("old") is not None
    rotated(path)
    clock.now += 300 + 1
    assert await filed.find("new") is not None
    assert await filed.find("old") is None


def removed(path: Path) -> None:
    path.unlink()


def half_written(path: Path) -> None:
    path.write_text(shown("old", "new")[:100])


def huge(path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(MAX_BYTES + 1)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize("spoil", [removed, half_written, huge, a_pipe, a_folder, a_link_to_itself])
async def test_a_file_that_is_spoilt_is_an_outage(
    spoil: Callable[[Path], None], path: Path, clock: Turned, filed: KeyCache
) -> None:
    assert await filed.find("old") is not None
    spoil(path)
    clock.now += 80_000  # below the hard age of a day
    assert await filed.find("old") is not None
    with pytest.raises(IssuerUnavailable):
        await filed.find("new")
    clock.now += 80_000
    with pytest.raises(IssuerUnavailable):
        await filed.find("old")
