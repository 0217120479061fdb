"""What HTTP adds to the contract's methods: status codes, headers, conditions, encodings."""

import asyncio
import gzip
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from forebay.policy.v1 import Visibility
from forebay_server.answers.errors import QueryExpired
from forebay_server.errors import (
    ClearanceTooLow,
    EtagMismatch,
    IssuerUnavailable,
    TokenExpired,
    TokenInvalid,
)
from forebay_server.http.operations import STALE_SECONDS
from forebay_server.http.server import HttpOptions
from forebay_server.limits.allowances import Limit
from forebay_server.limits.errors import LimitReached
from forebay_server.metrics.calls import UNKNOWN

from .conftest import Installation
from .http_edge import bearer, reason_of, violation_of
from .http_shelf import ShelfEdge, message, shelf_edge
from .keys import ec_key
from .test_serving import self_signed

BOOK = "/v1/shelves/a/books/b"
ORIGIN = "https://page.example"


@pytest.fixture
async def edge(installation: Installation) -> AsyncIterator[ShelfEdge]:
    options = HttpOptions(allows_origin={ORIGIN}.__contains__)
    async with shelf_edge(installation.settings, options) as built:
        built.shelf.answer = message("Book", name="shelves/a/books/b", title="Weirs", etag="e1")
        yield built


@pytest.fixture
def auth(installation: Installation) -> dict[str, str]:
    return bearer(installation.token())


async def test_a_method_answers_with_its_message(edge: ShelfEdge, auth: dict[str, str]) -> None:
    answer = await edge.http.get(BOOK, headers=auth)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"name": "shelves/a/books/b", "title": "Weirs", "etag": "e1"}
    assert edge.shelf.asked == [message("GetBookRequest", name="shelves/a/books/b")]


async def test_an_additional_binding_and_a_part_of_the_response(
    edge: ShelfEdge, auth: dict[str, str]
) -> None:
    assert (await edge.http.get("/v1/any/deep/er", headers=auth)).status_code == 200
    assert edge.shelf.asked[-1].name == "deep/er"
    edge.shelf.answer = message("Page", books=[message("Book", title="a")])
    assert (await edge.http.get("/v1/books", headers=auth)).json() == [{"title": "a"}]


async def test_an_etag_spares_what_is_known_already(edge: ShelfEdge, auth: dict[str, str]) -> None:
    assert (await edge.http.get(BOOK, headers=auth)).headers["etag"] == '"e1"'
    for known in ('"e1"', 'W/"e1"', '"e0", "e1"', "*"):
        answer = await edge.http.get(BOOK, headers={**auth, "If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == '"e1"'
    for other in ('"e0"', "e1", "junk"):
        answer = await edge.http.get(BOOK, headers={**auth, "If-None-Match": other})
        assert answer.status_code == 200


async def test_a_condition_on_what_is_read_is_kept(edge: ShelfEdge, auth: dict[str, str]) -> None:
    met = await edge.http.get(BOOK, headers={**auth, "If-Match": '"e1"'})
    assert met.status_code == 200
    for tag in ('"e0"', 'W/"e1"'):
        missed = await edge.http.get(BOOK, headers={**auth, "If-Match": tag})
        assert (missed.status_code, reason_of(missed)) == (412, "ETAG_MISMATCH")


async def test_a_condition_on_a_change_is_the_resources_etag(
    edge: ShelfEdge, auth: dict[str, str]
) -> None:
    patched = await edge.http.patch(
        BOOK, json={"title": "a"}, headers={**auth, "If-Match": '"e1"', "Idempotency-Key": '"k"'}
    )
    assert patched.status_code == 200
    [asked] = edge.shelf.asked
    assert (asked.book.etag, asked.request_id) == ("e1", "k")
    assert list(asked.update_mask.paths) == ["title"]


async def test_a_change_that_came_too_late_is_412_where_a_condition_was_sent(
    edge: ShelfEdge, auth: dict[str, str]
) -> None:
    edge.shelf.error = EtagMismatch("e2")
    conditional = {**auth, "If-Match": '"e1"'}
    with_header = await edge.http.patch(BOOK, json={"title": "a"}, headers=conditional)
    with_field = await edge.http.patch(BOOK, json={"title": "a", "etag": "e1"}, headers=auth)
    assert (with_header.status_code, with_field.status_code) == (412, 409)
    assert with_header.json() == with_field.json()


@pytest.mark.parametrize(
    ("headers", "body", "found"),
    [
        ({"If-Match": "e1"}, {}, ("If-Match", "header.entity_tag")),
        ({"If-Match": "*"}, {}, ("If-Match", "header.entity_tag")),
        ({"If-Match": '"a", "b"'}, {}, ("If-Match", "header.entity_tag")),
        ({"If-Match": '"e1"'}, {"etag": "e2"}, ("etag", "header.agrees")),
    ],
)
async def test_a_condition_that_cannot_be_kept_is_refused(
    edge: ShelfEdge,
    auth: dict[str, str],
    headers: dict[str, str],
    body: Any,
    found: tuple[str, str],
) -> None:
    answer = await edge.http.patch(BOOK, json={"title": "a", **body}, headers={**auth, **headers})
    assert answer.status_code == 400
    assert violation_of(answer) == found
    lent = await edge.http.post(f"{BOOK}:lend", headers={**auth, "If-Match": '"e1"'})
    assert violation_of(lent) == ("If-Match", "header.unknown")
    assert edge.shelf.asked == []


async def test_an_idempotency_key_and_a_request_id_must_agree(
    edge: ShelfEdge, auth: dict[str, str]
) -> None:
    headers = {**auth, "Idempotency-Key": "k1"}
    same = await edge.http.patch(f"{BOOK}?requestId=k1", json={"title": "a"}, headers=headers)
    assert same.status_code == 200
    other = await edge.http.patch(f"{BOOK}?requestId=k2", json={"title": "a"}, headers=headers)
    assert (other.status_code, violation_of(other)) == (400, ("request_id", "header.agrees"))
    # A key that nobody needs does no harm.
    assert (await edge.http.get(BOOK, headers=headers)).status_code == 200


async def test_a_call_may_wait_for_the_last_state(edge: ShelfEdge, auth: dict[str, str]) -> None:
    waiting = {**auth, "Prefer": "respond-async, wait=30"}
    # A book has a state and no stream under its own path with one verb but `:read`: that is it.
    asking = asyncio.create_task(edge.http.get(BOOK, headers=waiting))
    async with asyncio.timeout(5):
        await edge.shelf.opened.wait()
    assert not asking.done()
    edge.shelf.more.set()
    answer = await asking
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=30"
    at_once = await edge.http.get(BOOK, headers={**auth, "Prefer": "wait=x"})
    assert "preference-applied" not in at_once.headers


async def test_a_wait_ends_after_its_time(edge: ShelfEdge, auth: dict[str, str]) -> None:
    answer = await edge.http.get(BOOK, headers={**auth, "Prefer": "wait=1"})
    assert (answer.status_code, edge.shelf.open_streams) == (200, 0)


async def test_a_token_that_ends_while_a_slow_body_arrives_admits_nothing(
    edge: ShelfEdge, installation: Installation
) -> None:
    nearly_over = int(time.time()) - 30 + 1  # an issuer that says nothing grants 30 s of leeway
    headers = bearer(installation.token(exp=nearly_over, iat=nearly_over - 60))

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"yes":'
        await asyncio.sleep(STALE_SECONDS + 0.2)  # there is no event: what passes is the token
        yield b"true}"

    json_body = {**headers, "Content-Type": "application/json"}
    answer = await edge.http.put("/v1/everything/x", content=slowly(), headers=json_body)
    assert (answer.status_code, reason_of(answer)) == (401, "TOKEN_EXPIRED")
    assert edge.shelf.asked == []


async def test_who_loses_a_right_while_waiting_is_shown_nothing(
    edge: ShelfEdge, auth: dict[str, str]
) -> None:
    lost = (
        ClearanceTooLow(Visibility.VISIBILITY_PUBLIC, Visibility.VISIBILITY_INTERNAL),
        TokenInvalid("tenant"),
        TokenExpired(),
    )
    edge.shelf.more.set()
    for error, status in zip(lost, (403, 401, 401), strict=True):
        edge.shelf.stream_error = error
        answer = await edge.http.get(BOOK, headers={**auth, "Prefer": "wait=30"})
        assert answer.status_code == status
    edge.shelf.stream_error = QueryExpired()
    assert (await edge.http.get(BOOK, headers={**auth, "Prefer": "wait=30"})).status_code == 200


async def test_limits_say_when_to_come_back(edge: ShelfEdge, auth: dict[str, str]) -> None:
    edge.shelf.error = LimitReached(Limit.REQUESTS_PER_MINUTE, 600, 3.0, of_tenant=False)
    limited = await edge.http.get(BOOK, headers=auth)
    assert (limited.status_code, reason_of(limited)) == (429, "LIMIT_REACHED")
    assert limited.headers["retry-after"] == "3"
    assert limited.headers["ratelimit"] == '"requests_per_minute";r=0;t=3'
    assert limited.headers["ratelimit-policy"] == '"requests_per_minute";q=600;w=60'
    edge.shelf.error = IssuerUnavailable("https://id.test")
    down = await edge.http.get(BOOK, headers=auth)
    assert (down.status_code, down.headers["retry-after"]) == (503, "5")


async def test_a_refused_token_says_which_would_do(edge: ShelfEdge) -> None:
    missing = await edge.http.get(BOOK)
    assert missing.headers["www-authenticate"] == "Bearer"
    wrong = await edge.http.get(BOOK, headers=bearer("x"))
    assert wrong.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_defect_tells_nothing_of_itself(edge: ShelfEdge, auth: dict[str, str]) -> None:
    edge.shelf.error = ZeroDivisionError("secret")
    answer = await edge.http.get(BOOK, headers=auth)
    assert (answer.status_code, reason_of(answer)) == (500, "INTERNAL")
    assert "secret" not in answer.text


async def test_large_answers_are_packed_for_whom_it_helps(
    edge: ShelfEdge, auth: dict[str, str]
) -> None:
    edge.shelf.answer = message("Book", title="x" * 200_000)
    packed = await edge.http.get(BOOK, headers={**auth, "Accept-Encoding": "br, gzip;q=0.5"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json()["title"] == "x" * 200_000
    for plain in ("identity", "gzip;q=0", ""):
        answer = await edge.http.get(BOOK, headers={**auth, "Accept-Encoding": plain})
        assert "content-encoding" not in answer.headers
        assert answer.headers["vary"].startswith("Accept-Encoding")


async def test_bodies_may_be_packed(edge: ShelfEdge, auth: dict[str, str]) -> None:
    body = gzip.compress(json.dumps({"small": 7}).encode())
    headers = {**auth, "Content-Type": "application/json", "Content-Encoding": "gzip"}
    edge.shelf.answer = message("Everything")
    answer = await edge.http.put("/v1/everything/a", content=body, headers=headers)
    assert answer.status_code == 200
    assert edge.shelf.asked == [message("Everything", text="a", small=7)]


async def test_an_empty_body_is_an_empty_request(edge: ShelfEdge, auth: dict[str, str]) -> None:
    edge.shelf.answer = message("Book")
    answer = await edge.http.post(f"{BOOK}:lend", headers=auth)
    assert answer.status_code == 200


async def test_head_tells_what_get_would(edge: ShelfEdge, auth: dict[str, str]) -> None:
    answer = await edge.http.head(BOOK, headers=auth)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["etag"] == '"e1"'


async def test_pages_of_listed_origins_may_call(edge: ShelfEdge, auth: dict[str, str]) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}
    preflight = await edge.http.options(BOOK, headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    called = await edge.http.get(BOOK, headers={**auth, "Origin": ORIGIN})
    assert called.headers["access-control-allow-origin"] == ORIGIN
    refused = await edge.http.get(BOOK, headers={"Origin": ORIGIN})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)
    other = await edge.http.get(BOOK, headers={**auth, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


async def test_a_preflight_that_is_refused_says_why(edge: ShelfEdge) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "x-tenant",
    }
    refused = await edge.http.options(BOOK, headers=asked)
    assert (refused.status_code, violation_of(refused)) == (400, ("", "cors"))
    assert refused.headers["x-content-type-options"] == "nosniff"
    # For a page of nowhere there is no such thing as a preflight.
    other = await edge.http.options(BOOK, headers={**asked, "Origin": "https://evil.example"})
    assert (other.status_code, reason_of(other)) == (405, "METHOD_UNKNOWN")


async def test_no_origin_is_listed_by_default(
    installation: Installation, auth: dict[str, str]
) -> None:
    async with shelf_edge(installation.settings) as edge:
        edge.shelf.answer = message("Book")
        called = await edge.http.get(BOOK, headers={**auth, "Origin": ORIGIN})
        assert not [name for name in called.headers if name.startswith("access-control")]


async def test_every_answer_tells_what_is_left_of_the_calls_a_minute(
    installation: Installation, auth: dict[str, str]
) -> None:
    policy = installation.settings.policy_file
    standard = "standard: {clearance: INTERNAL, limits: {requests_per_minute: 5}}"
    policy.write_text(f"tiers:\n  {standard}\n")
    token = bearer(installation.token(tier="standard"))
    async with shelf_edge(installation.settings) as edge:
        edge.shelf.answer = message("Book", etag="e1")
        edge.shelf.more.set()
        answers = [
            await edge.http.get(BOOK, headers=token),
            await edge.http.get(BOOK, headers={**token, "If-None-Match": '"e1"'}),
            await edge.http.get(f"{BOOK}:read", headers=token),
            await edge.http.get(f"{BOOK}?what=x", headers=token),
            await edge.http.post(f"{BOOK}:lend", headers=token),
            await edge.http.get(BOOK, headers=token),
        ]
    assert [answer.status_code for answer in answers] == [200, 304, 204, 400, 200, 429]
    left = [answer.headers["ratelimit"].split(";")[:2] for answer in answers]
    assert left == [['"requests_per_minute"', f"r={n}"] for n in (4, 3, 2, 1, 0, 0)]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {
        '"requests_per_minute";q=5;w=60'
    }


async def test_every_answer_is_data_and_nothing_else_to_a_browser(
    edge: ShelfEdge, auth: dict[str, str]
) -> None:
    for answer in (
        await edge.http.get(BOOK, headers=auth),
        await edge.http.get(BOOK),
        await edge.http.get("/nothing"),
        await edge.http.get("/openapi.json"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] in ("no-store", "private, no-cache", "no-cache")
        assert "server" not in answer.headers


async def test_readiness_means_it(installation: Installation) -> None:
    found = {"kafka": True, "policy": True}

    async def kafka() -> bool:
        return found["kafka"]

    async def policy() -> bool:
        if not found["policy"]:
            raise OSError("unreadable")
        return True

    checks = HttpOptions(checks={"kafka": kafka, "policy": policy})
    for name, expected in ((None, 200), ("kafka", 503), ("policy", 503)):
        async with shelf_edge(installation.settings, checks) as edge:
            found.update(kafka=True, policy=True)
            if name is not None:
                found[name] = False
            answer = await edge.http.get("/readyz")
            assert answer.status_code == expected
            assert answer.json()["checks"] == {**found, "serving": True}
            assert (await edge.http.get("/healthz")).status_code == 200


async def test_the_envelopes_public_keys_are_shown_and_nothing_private(
    installation: Installation,
) -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "eA", "d": "secret", "kid": "e1"}
    options = HttpOptions(envelope_jwks=lambda: json.dumps({"keys": [jwk]}))
    async with shelf_edge(installation.settings, options) as edge:
        answer = await edge.http.get("/.well-known/jwks.json")
    assert answer.json() == {"keys": [{name: jwk[name] for name in ("kty", "crv", "x", "kid")}]}


async def test_a_call_that_outlives_the_drain_is_sent_elsewhere(
    installation: Installation, auth: dict[str, str]
) -> None:
    async with shelf_edge(installation.settings) as edge:
        waiting = {**auth, "Prefer": "wait=30"}
        edge.shelf.answer = message("Book")
        asking = asyncio.create_task(edge.http.get(BOOK, headers=waiting))
        async with asyncio.timeout(5):
            await edge.shelf.opened.wait()
        await edge.server.drain(0)
        answer: httpx.Response = await asking
    assert (answer.status_code, reason_of(answer)) == (503, "SERVER_DRAINING")
    assert answer.headers["retry-after"] == "1"


async def test_no_answer_waits_for_nagle(edge: ShelfEdge, auth: dict[str, str]) -> None:
    took = []
    for _ in range(20):
        began = time.perf_counter()
        await edge.http.get(BOOK, headers=auth)
        took.append(time.perf_counter() - began)
    assert min(took[1:]) < 0.02  # with Nagle's algorithm each takes 40 ms, the first one excepted


async def test_calls_are_counted_by_method_and_code(edge: ShelfEdge, auth: dict[str, str]) -> None:
    edge.shelf.lines = [message("Line", text="a")]
    await edge.http.get(BOOK, headers=auth)
    await edge.http.get(BOOK)
    await edge.http.get("/nothing", headers=auth)
    edge.shelf.error = QueryExpired()
    edge.shelf.more.set()
    await edge.http.get(f"{BOOK}:read", headers=auth)
    counted = {
        (sample.labels["method"], sample.labels["code"]): sample.value
        for metric in edge.registry.collect()
        for sample in metric.samples
        if sample.name == "forebay_edge_calls_total"
    }
    service = "/shelf.v1.ShelfService"
    assert counted == {
        (f"{service}/GetBook", "OK"): 1,
        (f"{service}/GetBook", "UNAUTHENTICATED"): 1,
        (UNKNOWN, "UNIMPLEMENTED"): 1,
        (f"{service}/ReadBook", "DEADLINE_EXCEEDED"): 1,
    }


async def test_who_never_takes_an_answer_is_cut_off(
    installation: Installation, auth: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forebay_server.http.server.KEEP_ALIVE_SECONDS", 0.2)
    async with shelf_edge(installation.settings) as edge:
        # More than both sockets' buffers hold.
        edge.shelf.answer = message("Everything", words=["x" * 1_000] * 20_000)
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port, limit=1024)
        head = "PUT /v1/everything/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
        writer.write(f"{head}Authorization: {auth['authorization']}\r\n\r\n".encode())
        connections = edge.server._server.server_state.connections
        await reader.readexactly(1)
        async with asyncio.timeout(10):
            while connections:  # noqa: ASYNC110 nobody tells when a connection is gone
                await asyncio.sleep(0.01)
        writer.close()


async def test_tls_is_served_by_configuration(
    installation: Installation, auth: dict[str, str], tmp_path: Path
) -> None:
    key = ec_key()
    certificate, private = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(self_signed(key))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    options = HttpOptions(certificate_file=certificate, key_file=private)
    async with shelf_edge(installation.settings, options) as edge:
        edge.shelf.answer = message("Book")
        trust = ssl.create_default_context(cafile=str(certificate))
        async with httpx.AsyncClient(verify=trust) as client:
            answer = await client.get(f"https://localhost:{edge.port}{BOOK}", headers=auth)
    assert answer.status_code == 200
