"""Whether a real edge is ready, by its own account."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from forebay_kafka.settings import KafkaSettings
from forebay_postgres import PostgresSettings
from forebay_server.composition import Configuration, edge

from .conftest import Installation

CHECKS = ("log", "keys", "policy", "serving")


@pytest.fixture
async def probe(
    installation: Installation, kafka: KafkaSettings, postgres_nowhere: PostgresSettings
) -> AsyncIterator[httpx.AsyncClient]:
    settings = installation.settings.model_copy(update={"http_address": "127.0.0.1:0"})
    async with edge(Configuration(settings, kafka, postgres_nowhere), share_port=False) as built:
        assert built.http is not None
        port = await built.http.start("127.0.0.1", 0)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
        await built.http.drain(0)


async def until(probe: httpx.AsyncClient, **expected: bool) -> int:
    """Probe until the checks say so; the status."""
    async with asyncio.timeout(20):
        while True:
            answer = await probe.get("/readyz")
            if answer.json()["checks"] == {**dict.fromkeys(CHECKS, True), **expected}:
                return answer.status_code
            await asyncio.sleep(0.1)


async def test_an_edge_is_ready_while_its_policy_is_good(
    probe: httpx.AsyncClient, installation: Installation
) -> None:
    path = installation.settings.policy_file
    good = path.read_text()
    assert await until(probe) == 200
    path.write_text("tiers: {}")
    assert await until(probe, policy=False) == 503
    assert (await probe.get("/healthz")).status_code == 200
    path.write_text(good)
    assert await until(probe) == 200


async def test_pages_of_the_policys_origins_may_call_within_seconds(
    probe: httpx.AsyncClient, installation: Installation
) -> None:
    path = installation.settings.policy_file
    asked = {"Origin": "https://app.example"}
    before = await probe.get("/v1/caller", headers=asked)
    assert "access-control-allow-origin" not in before.headers
    path.write_text(f"{path.read_text()}\norigins: ['https://app.example']\n")
    async with asyncio.timeout(20):
        while True:
            answer = await probe.get("/v1/caller", headers=asked)
            if "access-control-allow-origin" in answer.headers:
                break
            await asyncio.sleep(0.1)


async def test_the_keys_that_verify_envelopes_are_shown(
    probe: httpx.AsyncClient, installation: Installation
) -> None:
    [shown] = (await probe.get("/.well-known/jwks.json")).json()["keys"]
    [key] = json.loads(installation.settings.envelope_jwks_file.read_text())["keys"]
    assert shown.items() >= key.items()
    assert (shown["use"], shown["alg"], "d" in shown) == ("sig", "EdDSA", False)
