"""Who gets a development token: the system's own page, in a browser on this machine."""

from collections.abc import AsyncIterator

import httpx
import pytest

from forebay_standalone.system import System

PATH = "/development/token"


@pytest.fixture
async def http(system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://{system.addresses.http}") as client:
        yield client


def port(system: System) -> str:
    return system.addresses.http.rpartition(":")[2]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("tier", ["free", "standard", "enterprise"])
async def test_the_own_page_gets_a_token_of_the_tier_that_it_asks_for(
    http: httpx.AsyncClient, system: System, name: str, tier: str
) -> None:
    host = f"{name}:{port(system)}"
    headers = {"Host": host, "Origin": f"http://{host}"}
    given = await http.post(PATH, params={"tier": tier}, headers=headers)
    assert given.status_code == 200, given.text
    assert given.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in given.headers
    caller = await http.get(
        "/v1/caller", headers={"Authorization": f"Bearer {given.json()['token']}"}
    )
    assert caller.json()["tier"] == tier
    assert set(caller.json()["scopes"]) == {"ask", "ingest", "operate"}


ORIGINS = {
    "of nobody": [],
    "of a file": [("Origin", "null")],
    "of another site": [("Origin", "http://evil.example")],
    "of another port": [("Origin", "http://127.0.0.1:1")],
    "over TLS": [("Origin", "https://127.0.0.1:{port}")],
    "with something behind it": [("Origin", "http://127.0.0.1:{port}.evil.example")],
    "of the other name of this machine": [("Origin", "http://localhost:{port}")],
    "twice": [("Origin", "http://127.0.0.1:{port}"), ("Origin", "http://evil.example")],
    "of a name that was bound again": [
        ("Host", "evil.example:{port}"),
        ("Origin", "http://evil.example:{port}"),
    ],
    "of a host without a port": [("Host", "127.0.0.1"), ("Origin", "http://127.0.0.1")],
}


@pytest.mark.parametrize("headers", ORIGINS.values(), ids=ORIGINS.keys())
async def test_a_request_that_is_not_the_own_pages_gets_none(
    http: httpx.AsyncClient, system: System, headers: list[tuple[str, str]]
) -> None:
    sent = [(name, value.format(port=port(system))) for name, value in headers]
    refused = await http.post(PATH, params={"tier": "free"}, headers=sent)
    assert refused.status_code in (400, 403)
    assert "token" not in refused.json()


async def test_a_tier_that_is_not_offered_is_refused(
    http: httpx.AsyncClient, system: System
) -> None:
    origin = {"Origin": f"http://{system.addresses.http}"}
    for query in ("?tier=gold", "?tier=", "", "?tier=free&tier=../x", "?tier=%00"):
        answer = await http.post(PATH + query, headers=origin)
        assert answer.status_code == (200 if query.startswith("?tier=free") else 400)
    assert (await http.get(PATH, headers=origin)).status_code == 405


async def test_the_issuer_gives_nothing_to_a_browser(system: System) -> None:
    url = f"{system.issuer.issuer_url}/tokens?tier=free"
    async with httpx.AsyncClient() as client:
        assert (await client.post(url)).status_code == 200
        for headers in ({"Origin": system.issuer.issuer_url}, {"Host": "evil.example"}):
            assert (await client.post(url, headers=headers)).status_code == 403
