"""The page at `/`: what it is served with, and what an edge that is no development system lacks."""

from collections.abc import AsyncIterator

import pytest
from pydantic import ValidationError

from forebay_kafka.settings import KafkaSettings
from forebay_postgres import PostgresSettings
from forebay_server.http.web_page import FILES
from forebay_server.settings import ServerSettings

from .conftest import Installation
from .http_edge import HttpEdge, serving

ISSUER = "http://127.0.0.1:7777"


@pytest.fixture
async def edge(
    installation: Installation, kafka: KafkaSettings, postgres_nowhere: PostgresSettings
) -> AsyncIterator[HttpEdge]:
    async with serving(installation.settings, kafka, postgres_nowhere) as built:
        yield built


async def test_the_page_may_load_from_its_origin_alone_and_runs_no_script_of_its_text(
    edge: HttpEdge,
) -> None:
    page = await edge.http.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(
        each.strip().split(" ", 1) for each in page.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in policy if name.endswith("-src") and name != "default-src"} == {
        "'self'"
    }
    assert policy["trusted-types"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "<style" not in page.text
    assert page.text.count("<script") == 1
    assert "http://" not in page.text
    assert "https://" not in page.text


async def test_every_file_of_the_page_is_served_as_what_it_is(edge: HttpEdge) -> None:
    for path, (_, media_type) in FILES.items():
        served = await edge.http.get(path)
        assert (served.status_code, served.headers["content-type"]) == (200, media_type)
        assert served.headers["x-content-type-options"] == "nosniff"
        assert (await edge.http.post(path)).status_code == 405


async def test_an_edge_that_is_no_development_system_offers_no_token(edge: HttpEdge) -> None:
    assert '<meta name="development-tokens" content="no">' in (await edge.http.get("/")).text
    origin = {"Origin": str(edge.http.base_url).rstrip("/")}
    refused = await edge.http.post("/development/token?tier=free", headers=origin)
    assert refused.status_code == 404


@pytest.mark.parametrize(
    "changed",
    [
        {"http_address": "0.0.0.0:8080"},
        {"http_address": "192.168.1.5:8080"},
        {"http_address": "edge.example:8080"},
        {"development_issuer": "http://id.example:7777"},
        {"development_issuer": "https://127.0.0.1:7777"},
        {"tls_certificate_file": "a", "tls_key_file": "b"},
    ],
    ids=str,
)
def test_development_tokens_stay_on_this_machine(
    installation: Installation, changed: dict[str, str]
) -> None:
    good = {
        **installation.settings.model_dump(),
        "http_address": "127.0.0.1:8080",
        "development_issuer": ISSUER,
    }
    assert ServerSettings(**good).development_issuer == ISSUER
    with pytest.raises(ValidationError):
        ServerSettings(**{**good, **changed})
