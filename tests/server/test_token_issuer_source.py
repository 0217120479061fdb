"""The issuers file is edited while calls come in."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from forebay_server.clock import system_clock
from forebay_server.errors import TokenInvalid
from forebay_server.governance.trusted_issuers import IssuerSource

from .keys import AUDIENCE, ISSUER, KeyServer, ec_key, public_jwk, token

KEY, OTHER_KEY = ec_key(), ec_key()
OTHER = "https://other.test"
MINE = f"Bearer {token(KEY)}"
THEIRS = f"Bearer {token(OTHER_KEY, iss=OTHER, tenant='globex')}"


def entry(url: str, issuer: str = ISSUER, **rules: Any) -> dict[str, Any]:
    return {"issuer": issuer, "audience": AUDIENCE, "jwks_url": url, "tenants": ["acme"]} | rules


@pytest.fixture
def path(tmp_path: Path, keys: KeyServer) -> Path:
    keys.keys = [public_jwk(KEY, "k1")]
    path = tmp_path / "issuers.json"
    path.write_text(json.dumps([entry(keys.url)]))
    return path


@pytest.fixture
async def source(path: Path) -> AsyncIterator[IssuerSource]:
    # The interval is longer than any test: a test looks when it has something to show.
    async with (
        httpx.AsyncClient() as client,
        IssuerSource(path, client, system_clock, interval_seconds=1000) as source,
    ):
        yield source


async def written(source: IssuerSource, path: Path, *entries: dict[str, Any]) -> None:
    _write(path, json.dumps(entries))
    await source.look()
    await source.look()


def _write(path: Path, text: str) -> None:
    path.write_text(text)


async def rule(source: IssuerSource, header: str) -> str:
    with pytest.raises(TokenInvalid) as refused:
        await source.authenticator.authenticate(header)
    return refused.value.rule


async def test_an_issuer_that_is_added_is_believed_and_the_others_keep_their_keys(
    path: Path, source: IssuerSource, keys: KeyServer, tmp_path: Path
) -> None:
    assert await source.authenticator.authenticate(MINE)
    assert await rule(source, THEIRS) == "issuer"
    _write(tmp_path / "other.json", json.dumps({"keys": [public_jwk(OTHER_KEY, "k1")]}))
    other = {"issuer": OTHER, "audience": AUDIENCE, "tenants": ["globex"]}
    other["jwks_file"] = str(tmp_path / "other.json")
    await written(source, path, entry(keys.url), other)
    assert await source.authenticator.authenticate(THEIRS)
    assert await source.authenticator.authenticate(MINE)
    assert keys.requests == 1


async def test_an_issuer_that_is_removed_ends_with_its_remembered_tokens(
    path: Path, source: IssuerSource, keys: KeyServer
) -> None:
    assert await source.authenticator.authenticate(MINE)
    await written(source, path, entry(keys.url, OTHER))
    assert await rule(source, MINE) == "issuer"


async def test_a_tenant_that_an_issuer_loses_is_refused_also_to_remembered_tokens(
    path: Path, source: IssuerSource, keys: KeyServer
) -> None:
    assert await source.authenticator.authenticate(MINE)
    await written(source, path, entry(keys.url, tenants=["globex"]))
    assert await rule(source, MINE) == "tenant"


async def test_a_bad_file_changes_nothing_and_is_reported(
    path: Path, source: IssuerSource, keys: KeyServer
) -> None:
    await written(source, path, entry("http://id.test/keys"))
    assert await source.authenticator.authenticate(MINE)
    assert source.problem is not None
    assert "0.jwks_url: Value error, must begin with https://" in source.problem
