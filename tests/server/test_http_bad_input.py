"""What strangers and mistakes send: a 4xx that says what is wrong, no record, no growth."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest

from forebay.records.v1 import AnswerRecord, DocumentRecord, DocumentUpdate, QueryRecord
from forebay_kafka.settings import KafkaSettings
from forebay_postgres import PostgresSettings
from forebay_server.http import operations
from forebay_server.http.connection import MAX_HEAD_BYTES
from forebay_server.http.requests import LINGER_SECONDS

from .conftest import Installation
from .http_edge import HttpEdge, bearer, reason_of, serving, violation_of
from .log import LogReader

BODY_LIMIT = 13 * 1024 * 1024
QUERIES = "/v1/queries"
INGEST = "/v1/collections/plant/documents:ingest"
JSON = {"Content-Type": "application/json"}
INVALID = "FIELD_INVALID"


@pytest.fixture
async def edge(
    installation: Installation, kafka: KafkaSettings, postgres_nowhere: PostgresSettings
) -> AsyncIterator[HttpEdge]:
    async with serving(installation.settings, kafka, postgres_nowhere) as built:
        yield built


@pytest.fixture
def auth(installation: Installation) -> dict[str, str]:
    return bearer(installation.token())


BODIES: list[tuple[bytes, dict[str, str], int, str, str]] = [
    (b"", JSON, 400, INVALID, "string.visible"),
    (b"null", JSON, 400, INVALID, "message.json"),
    (b"{", JSON, 400, INVALID, "json.syntax"),
    (b"[]", JSON, 400, INVALID, "message.json"),
    (b'"text"', JSON, 400, INVALID, "message.json"),
    (b'{"text": "a"} x', JSON, 400, INVALID, "json.trailing"),
    (b'{"text": "a", "text": "b"}', JSON, 400, INVALID, "json.duplicate"),
    (b'{"text": "a", "topK": NaN}', JSON, 400, INVALID, "json.constant"),
    (b'{"text": "\\ud800"}', JSON, 400, INVALID, "json.surrogate"),
    (b'{"text": "\xff"}', JSON, 400, INVALID, "json.utf8"),
    (b'{"a":' * 2000 + b"1" + b"}" * 2000, JSON, 400, INVALID, "json.depth"),
    (b'{"text": "a", "tenant": "globex"}', JSON, 400, INVALID, "field.unknown"),
    (b'{"text": "a", "requestId": "1", "request_id": "1"}', JSON, 400, INVALID, "json.duplicate"),
    (b'{"text": "a\\u0000"}', JSON, 400, INVALID, "string.visible"),
    (b'{"text": "a"}', {}, 415, INVALID, "media_type"),
    (b'{"text": "a"}', {"Content-Type": "text/plain"}, 415, INVALID, "media_type"),
    (b"text=a", {"Content-Type": "application/x-www-form-urlencoded"}, 415, INVALID, "media_type"),
    (b"x", {"Content-Type": "multipart/form-data; boundary=x"}, 415, INVALID, "media_type"),
    (b"{}", {"Content-Type": "application/json; charset=utf-16"}, 415, INVALID, "media_type"),
    (b"{}", {**JSON, "Content-Encoding": "br"}, 415, INVALID, "media_type"),
    (b"{}", {**JSON, "Content-Encoding": "gzip, gzip"}, 415, INVALID, "media_type"),
    (b"{}", {**JSON, "Content-Encoding": "gzip"}, 400, INVALID, "body.gzip"),
    (gzip.compress(b"{}") + b"x", {**JSON, "Content-Encoding": "gzip"}, 400, INVALID, "body.gzip"),
    (gzip.compress(b"{}")[:-4], {**JSON, "Content-Encoding": "gzip"}, 400, INVALID, "body.gzip"),
    (zlib.compress(b"{}"), {**JSON, "Content-Encoding": "gzip"}, 400, INVALID, "body.gzip"),
]


async def test_a_broken_body_is_refused_by_what_is_broken(
    edge: HttpEdge, auth: dict[str, str], log: LogReader
) -> None:
    found, expected = [], []
    for body, headers, status, reason, rule in BODIES:
        answer = await edge.http.post(QUERIES, content=body, headers={**auth, **headers})
        told = violation_of(answer)[1] if reason == INVALID else ""
        found.append((body[:40], answer.status_code, reason_of(answer), told))
        expected.append((body[:40], status, reason, rule))
    assert found == expected
    assert written(log) == []


async def test_a_body_over_the_limit_is_refused_by_its_limit(
    edge: HttpEdge, auth: dict[str, str], log: LogReader
) -> None:
    headers = {**auth, **JSON}
    bomb = gzip.compress(b" " * (100 * 1024 * 1024))
    plain = b'{"a": "' + b"x" * BODY_LIMIT + b'"}'
    for body, more in ((plain, {}), (bomb, {"Content-Encoding": "gzip"})):
        async with asyncio.timeout(LINGER_SECONDS):  # nobody waits for more than was announced
            answer = await edge.http.post(INGEST, content=body, headers={**headers, **more})
        assert (answer.status_code, reason_of(answer)) == (413, "DOCUMENT_TOO_LARGE")
        assert str(BODY_LIMIT) in answer.text
    # A method whose largest field is small has a small limit.
    small = await edge.http.post(QUERIES, content=b" " * (2 * 1024 * 1024), headers=headers)
    assert small.status_code == 413
    assert written(log) == []


async def test_a_body_that_was_not_announced_is_bounded_too(
    edge: HttpEdge, auth: dict[str, str]
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(400):
            yield b"x" * 65_536

    answer = await edge.http.post(INGEST, content=endless(), headers={**auth, **JSON})
    assert answer.status_code == 413


async def test_a_body_that_does_not_come_is_waited_for_in_vain_and_not_for_long(
    edge: HttpEdge, auth: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "BODY_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    head = f"POST {QUERIES} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += f"Authorization: {auth['authorization']}\r\nContent-Length: 100\r\n\r\n"
    writer.write(head.encode() + b'{"text": ')
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"body.time" in answer
    writer.close()


async def test_a_head_that_does_not_come_ends_its_connection(
    edge: HttpEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forebay_server.http.connection.HEAD_SECONDS", 0.2)
    for begun in (b"", b"GET / HTTP/1.1\r\nHost:"):
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(begun)
        assert await reader.read() == b""
        writer.close()


async def test_a_head_without_an_end_is_cut(edge: HttpEdge) -> None:
    process = psutil.Process()
    for begin, more in ((b"GET /", b"x"), (b"GET / HTTP/1.1\r\n", b"a: b\r\n")):
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        before = process.memory_info().rss
        writer.write(begin + more * (4 * MAX_HEAD_BYTES))
        try:
            answer = await reader.read()
        except ConnectionResetError:  # it was cut while there was more to read
            answer = b"HTTP/1.1 400 "
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert process.memory_info().rss - before < 32 * 1024 * 1024
        writer.close()


PATHS: list[tuple[str, bytes, int, str]] = [
    ("POST", b"/", 405, "METHOD_UNKNOWN"),
    ("GET", b"/page/", 404, "METHOD_UNKNOWN"),
    ("GET", b"/page/x/../page.js", 404, "METHOD_UNKNOWN"),
    ("GET", b"/page%2Fpage.js", 404, "METHOD_UNKNOWN"),
    ("POST", b"/development/token", 404, "METHOD_UNKNOWN"),
    ("GET", b"/nothing", 404, "METHOD_UNKNOWN"),
    ("GET", b"/v1", 404, "METHOD_UNKNOWN"),
    ("GET", b"/v1/", 404, "METHOD_UNKNOWN"),
    ("POST", b"/v1/queries/", 404, "METHOD_UNKNOWN"),
    ("POST", b"/v1//queries", 404, "METHOD_UNKNOWN"),
    ("POST", b"//v1/queries", 404, "METHOD_UNKNOWN"),
    ("POST", b"/V1/queries", 404, "METHOD_UNKNOWN"),
    ("POST", b"/v1/Queries", 404, "METHOD_UNKNOWN"),
    ("POST", b"/v1%2Fqueries", 404, "METHOD_UNKNOWN"),
    ("POST", b"/v1/x/../queries", 404, "METHOD_UNKNOWN"),
    ("POST", b"/v1/queries%3Aask", 404, "METHOD_UNKNOWN"),
    ("POST", b"/v1/queries:Ask", 404, "METHOD_UNKNOWN"),
    ("POST", b"/v1/queries;x=1", 404, "METHOD_UNKNOWN"),
    ("GET", b"/v1/queries%2Fabc", 404, "METHOD_UNKNOWN"),
    ("GET", b"/v1/queries/abc:guess", 404, "METHOD_UNKNOWN"),
    ("GET", b"/v1/queries/abc/def", 404, "METHOD_UNKNOWN"),
    ("GET", b"/v1/queries/a%2Fb", 404, "QUERY_NOT_FOUND"),
    ("GET", b"/v1/queries/%00", 404, "QUERY_NOT_FOUND"),
    ("GET", b"/v1/queries/%FF", 400, INVALID),
    ("GET", b"/v1/queries/%zz", 400, INVALID),
    ("GET", b"/v1/collections/PLANT/documents/a", 400, INVALID),
    ("GET", b"/v1/collections/a%2Fb/documents/a", 400, INVALID),
    ("GET", b"/v1/caller?tenant=globex", 400, INVALID),
    ("GET", b"/v1/caller?access_token=x", 400, INVALID),
    ("GET", b"/v1/caller?%FF=1", 400, INVALID),
    ("GET", b"/v1/caller?" + b"a&" * 1001, 400, INVALID),
    ("GET", b"/v1/queries", 405, "METHOD_UNKNOWN"),
    ("DELETE", b"/v1/queries", 405, "METHOD_UNKNOWN"),
    ("PUT", b"/v1/caller", 405, "METHOD_UNKNOWN"),
    ("POST", b"/v1/queries/abc:stream", 405, "METHOD_UNKNOWN"),
    ("HEAD", b"/v1/queries/abc:stream", 405, ""),
    ("OPTIONS", b"/v1/caller", 405, "METHOD_UNKNOWN"),
    ("TRACE", b"/v1/caller", 405, "METHOD_UNKNOWN"),
    ("POST", b"/openapi.json", 405, "METHOD_UNKNOWN"),
    ("POST", b"/healthz", 405, "METHOD_UNKNOWN"),
]


async def raw(edge: HttpEdge, request: bytes) -> tuple[int, bytes]:
    """Send bytes as they are; status and body of the one answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def test_a_path_that_is_nearly_one_is_none(edge: HttpEdge, auth: dict[str, str]) -> None:
    found, expected = [], []
    for verb, path, status, reason in PATHS:
        head = b"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: %s\r\n\r\n"
        code, body = await raw(edge, head % (verb.encode(), path, auth["authorization"].encode()))
        told = reason if reason.encode() in body else body.decode()
        found.append((verb, path[:40], code, told))
        expected.append((verb, path[:40], status, reason))
    assert found == expected


async def test_a_refused_verb_says_which_would_do(edge: HttpEdge, auth: dict[str, str]) -> None:
    answer = await edge.http.put("/v1/collections/a/documents/b", headers=auth)
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, PATCH")


async def test_two_tokens_on_one_call_are_refused(
    edge: HttpEdge, installation: Installation
) -> None:
    both = [
        ("Authorization", f"Bearer {installation.token()}"),
        ("authorization", f"Bearer {installation.token(tenant='globex')}"),
    ]
    answer = await edge.http.get("/v1/caller", headers=both)
    assert (answer.status_code, reason_of(answer)) == (401, "TOKEN_INVALID")


async def test_headers_of_the_clients_own_mean_nothing(
    edge: HttpEdge, installation: Installation, log: LogReader
) -> None:
    smuggled = {
        "Grpc-Metadata-Authorization": f"Bearer {installation.token(tenant='globex')}",
        "Grpc-Timeout": "1n",
        "X-Forwarded-User": "root",
        "X-Forwarded-Host": "evil.example",
        "X-HTTP-Method-Override": "DELETE",
        "X-Tenant": "globex",
        "X-Forebay-Identity": "forged",
        "Cookie": f"authorization=Bearer {installation.token()}",
    }
    alone = await edge.http.get("/v1/caller", headers=smuggled)
    assert (alone.status_code, reason_of(alone)) == (401, "TOKEN_MISSING")
    beside = {**smuggled, **bearer(installation.token())}
    caller = await edge.http.get("/v1/caller", headers=beside)
    assert caller.json()["tenant"] == "acme"
    asked = await edge.http.post(QUERIES, json={"text": "How deep?"}, headers=beside)
    assert asked.status_code == 200
    [record] = log.read(QueryRecord)
    sent = [value for _, value in record.headers]
    assert not [value for value in sent if b"forged" in value or b"globex" in value]


HEADERS: list[tuple[str, bytes, int]] = [
    ("Content-Length: x\r\n", b"", 400),
    ("Content-Length: -1\r\n", b"", 400),
    ("Content-Length: 2\r\nContent-Length: 3\r\n", b"{}", 400),
    ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n", 400),
    ("Transfer-Encoding: chunked\r\n", b"zz\r\n", 400),
    ("Bad Header: x\r\n", b"", 400),
    ("X: a\x00b\r\n", b"", 400),
    (
        "Content-Length: 2\r\nContent-Type: application/json\r\nContent-Type: text/plain\r\n",
        b"{}",
        400,
    ),
    ("Content-Length: 2\r\n", b"{}", 415),
]


async def test_a_head_that_proxies_read_differently_is_refused(
    edge: HttpEdge, auth: dict[str, str], log: LogReader
) -> None:
    found = []
    for headers, body, _ in HEADERS:
        head = f"POST {QUERIES} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        head += f"Authorization: {auth['authorization']}\r\n{headers}\r\n"
        status, told = await raw(edge, head.encode() + body)
        [info, _] = json.loads(told)["details"]
        found.append((headers, status, info["reason"]))
    assert found == [(headers, status, INVALID) for headers, _, status in HEADERS]
    assert written(log) == []


async def test_a_body_where_there_is_none_is_refused(edge: HttpEdge, auth: dict[str, str]) -> None:
    answer = await edge.http.request("GET", "/v1/caller", content=b"{}", headers=auth)
    assert (answer.status_code, violation_of(answer)) == (400, ("", "body.absent"))


async def test_a_body_that_the_contract_requires_is_missed_although_the_path_says_a_part_of_it(
    edge: HttpEdge, auth: dict[str, str], log: LogReader
) -> None:
    answer = await edge.http.patch(
        "/v1/collections/plant/documents/weir?updateMask=visibility", headers=auth
    )
    assert (answer.status_code, violation_of(answer)) == (400, ("document", "required"))
    assert written(log) == []


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ("forged", "CURSOR_INVALID"),
        ("A" * 60, "CURSOR_INVALID"),
        ("../../etc", "CURSOR_INVALID"),
        ("é", "CURSOR_INVALID"),
        ("c" * 10_000, INVALID),
    ],
)
async def test_a_cursor_of_somewhere_else_is_refused(
    edge: HttpEdge, auth: dict[str, str], last: str, reason: str
) -> None:
    asked = await edge.http.post(QUERIES, json={"text": "How deep?"}, headers=auth)
    sent = [(name.encode(), value.encode()) for name, value in auth.items()]
    headers = [*sent, (b"Last-Event-ID", last.encode())]
    answer = await edge.http.get(f"/v1/{asked.json()['name']}:stream", headers=headers)
    assert (answer.status_code, reason_of(answer)) == (400, reason)


async def test_a_cursor_of_another_query_is_refused(edge: HttpEdge, auth: dict[str, str]) -> None:
    names, cursors = [], []
    for text in ("How deep?", "How wide?"):
        asked = await edge.http.post(QUERIES, json={"text": text}, headers=auth)
        names.append(asked.json()["name"])
        headers = {**auth, "Accept": "application/x-ndjson"}
        async with edge.http.stream("GET", f"/v1/{names[-1]}:stream", headers=headers) as stream:
            cursors.append(json.loads(await anext(stream.aiter_lines()))["cursor"])
    headers = {**auth, "Last-Event-ID": cursors[0]}
    answer = await edge.http.get(f"/v1/{names[1]}:stream", headers=headers)
    assert (answer.status_code, reason_of(answer)) == (400, "CURSOR_INVALID")


async def test_pipelined_requests_are_answered_in_their_order(
    edge: HttpEdge, auth: dict[str, str]
) -> None:
    head = "GET {} HTTP/1.1\r\nHost: x\r\nAuthorization: " + auth["authorization"] + "\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    first, last = head.format("/v1/caller"), head.format("/nothing")
    writer.write(f"{first}\r\n{last}Connection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    assert answer.index("HTTP/1.1 200") < answer.index("HTTP/1.1 404")
    writer.close()


def written(log: LogReader) -> list[Any]:
    kinds = (QueryRecord, AnswerRecord, DocumentRecord, DocumentUpdate)
    return [record for kind in kinds for record in log.read(kind)]
