"""Streams of events: what is sent, when it ends, and what is left of it afterwards."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from httpx_sse import ServerSentEvent, aconnect_sse
from hypothesis import given
from hypothesis import strategies as st

from forebay_server.answers.errors import CursorInvalid, QueryExpired, ReaderTooSlow
from forebay_server.http import event_stream
from forebay_server.http.event_lines import JsonLines, ServerSentEvents
from forebay_server.http.replies import message_json

from .conftest import Installation
from .http_edge import bearer, reason_of, violation_of
from .http_shelf import ShelfEdge, message, shelf_edge

BOOK = "/v1/shelves/a/books/b:read"
LINES = [
    message("Line", cursor="c1", title="The Weir"),
    message("Line", cursor="c2", text="first\r\nsecond"),
    message("Line", heartbeat={}),
    message("Line", cursor="c3", text="data: x\n\nevent: completed\n\n"),
]


@pytest.fixture
async def edge(installation: Installation) -> AsyncIterator[ShelfEdge]:
    async with shelf_edge(installation.settings) as built:
        yield built


@pytest.fixture
def auth(installation: Installation) -> dict[str, str]:
    return bearer(installation.token())


async def events(
    edge: ShelfEdge, auth: dict[str, str], path: str = BOOK, **headers: str
) -> list[ServerSentEvent]:
    sent = {**auth, **{name.replace("_", "-"): value for name, value in headers.items()}}
    async with aconnect_sse(edge.http, "GET", path, headers=sent) as source:
        return [event async for event in source.aiter_sse()]


async def test_events_carry_their_name_their_cursor_and_themselves(
    edge: ShelfEdge, auth: dict[str, str]
) -> None:
    edge.shelf.lines = LINES
    edge.shelf.more.set()
    async with edge.http.stream("GET", BOOK, headers=auth) as response:
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
        text = (await response.aread()).decode()
    assert text.startswith(":\nevent: title\nid: c1\ndata: {")
    found = await events(edge, auth)
    assert [(event.event, event.id) for event in found] == [
        ("title", "c1"),
        ("text", "c2"),
        ("text", "c3"),
    ]
    assert [event.json().get("text", "") for event in found] == [
        line.text for line in LINES if line.cursor
    ]


async def test_the_first_byte_comes_at_once_and_silence_is_broken_by_comments(
    edge: ShelfEdge, auth: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.05)
    async with edge.http.stream("GET", BOOK, headers=auth) as response:
        assert response.status_code == 200
        chunks = response.aiter_raw()
        assert await anext(chunks) == b":\n"
        assert await anext(chunks) == b":\n"


async def test_a_stream_goes_on_behind_the_last_event_that_was_seen(
    edge: ShelfEdge, auth: dict[str, str]
) -> None:
    edge.shelf.lines = LINES
    edge.shelf.more.set()
    found = await events(edge, auth, f"{BOOK}?afterCursor=c2", last_event_id="c1")
    assert [event.id for event in found] == ["c2", "c3"]
    assert [request.after_cursor for request in edge.shelf.asked] == ["c1"]


async def test_who_has_seen_everything_is_told_not_to_come_back(
    edge: ShelfEdge, auth: dict[str, str]
) -> None:
    edge.shelf.lines = LINES
    edge.shelf.more.set()
    answer = await edge.http.get(BOOK, headers={**auth, "Last-Event-ID": "c3"})
    assert (answer.status_code, answer.content) == (204, b"")


async def test_what_fails_before_the_first_event_has_an_http_status(
    edge: ShelfEdge, auth: dict[str, str]
) -> None:
    edge.shelf.error = CursorInvalid()
    edge.shelf.more.set()
    answer = await edge.http.get(BOOK, headers=auth)
    assert (answer.status_code, reason_of(answer)) == (400, "CURSOR_INVALID")


async def test_what_fails_later_is_said_in_the_stream(
    edge: ShelfEdge, auth: dict[str, str]
) -> None:
    edge.shelf.lines, edge.shelf.error = LINES, QueryExpired()
    edge.shelf.more.set()
    *_, last = await events(edge, auth)
    assert last.event == "status"
    status = last.json()
    assert status["code"] == 4
    assert [detail["reason"] for detail in status["details"]] == ["QUERY_EXPIRED"]
    assert last.id == "c3"  # a reader that resumes does so behind the last event that counts


async def test_a_message_without_a_oneof_gives_its_event_its_own_name(
    edge: ShelfEdge, auth: dict[str, str]
) -> None:
    found = await events(edge, auth, "/v1/shelves:watch")
    assert [(event.event, event.id) for event in found] == [("shelf_state", "")] * 3


async def test_the_same_events_come_line_by_line(edge: ShelfEdge, auth: dict[str, str]) -> None:
    edge.shelf.lines, edge.shelf.error = LINES, ReaderTooSlow()
    edge.shelf.more.set()
    headers = {**auth, "Accept": "application/x-ndjson"}
    answer = await edge.http.get(BOOK, headers=headers)
    assert answer.headers["content-type"] == "application/x-ndjson"
    *lines, last = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == [json.loads(message_json(line)) for line in LINES]
    assert list(last) == ["status"]
    assert last["status"]["code"] == 8


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/event-stream", 200),
        ("*/*", 200),
        ("text/html, */*;q=0.1", 200),
        ("application/x-ndjson;q=1", 200),
        ("application/json", 406),
        ("text/html", 406),
    ],
)
async def test_a_stream_comes_in_a_form_that_is_accepted(
    edge: ShelfEdge, auth: dict[str, str], accept: str, status: int
) -> None:
    edge.shelf.lines = LINES
    edge.shelf.more.set()
    answer = await edge.http.get(BOOK, headers={**auth, "Accept": accept})
    assert answer.status_code == status
    if status == 406:
        assert violation_of(answer) == ("Accept", "media_type")


@pytest.mark.parametrize(
    ("last", "found"),
    [
        (b"c" * 10_000, ("after_cursor", "string.max_bytes")),
        (b"\xff\xfe", ("Last-Event-ID", "string.utf8")),
    ],
)
async def test_a_cursor_that_cannot_be_one_is_refused(
    edge: ShelfEdge, auth: dict[str, str], last: bytes, found: tuple[str, str]
) -> None:
    sent = [(name.encode(), value.encode()) for name, value in auth.items()]
    answer = await edge.http.get(BOOK, headers=[*sent, (b"Last-Event-ID", last)])
    assert answer.status_code == 400
    assert violation_of(answer) == found


async def test_who_hangs_up_leaves_nothing_behind(edge: ShelfEdge, auth: dict[str, str]) -> None:
    edge.shelf.lines = LINES
    before = asyncio.all_tasks()
    async with edge.http.stream("GET", BOOK, headers=auth) as response:
        await anext(response.aiter_raw())
        assert edge.shelf.open_streams == 1
    async with asyncio.timeout(5):
        await edge.shelf.closed.wait()
        for task in asyncio.all_tasks() - before - {asyncio.current_task()}:
            await asyncio.wait({task})
    assert edge.shelf.open_streams == 0


async def test_who_stops_reading_is_cut_off(
    edge: ShelfEdge, auth: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "SEND_SECONDS", 0.2)
    edge.shelf.lines = [message("Line", cursor=str(n), text="x" * 65_536) for n in range(1000)]
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port, limit=1024)
    token = auth["authorization"]
    writer.write(f"GET {BOOK} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())
    async with asyncio.timeout(10):
        await edge.shelf.closed.wait()
    # Nothing of the megabytes that it has not taken is kept for it.
    async with asyncio.timeout(10):
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(64 * 1024 * 1024)
    writer.close()


async def test_an_edge_that_leaves_says_so_in_its_streams(
    edge: ShelfEdge, auth: dict[str, str]
) -> None:
    edge.shelf.lines = LINES
    async with aconnect_sse(edge.http, "GET", BOOK, headers=auth) as source:
        incoming = source.aiter_sse()
        assert (await anext(incoming)).id == "c1"
        leaving = asyncio.create_task(edge.server.drain(0))
        *_, last = [event async for event in incoming]
        await leaving
    assert last.event == "status"
    assert next(each.get("reason") for each in last.json()["details"]) == "SERVER_DRAINING"


@given(text=st.text(max_size=200), cursor=st.text("abcXYZ019-_", max_size=20))
def test_any_text_arrives_unchanged(text: str, cursor: str) -> None:
    line = message("Line", cursor=cursor, text=text)
    encoded = ServerSentEvents(line.DESCRIPTOR).event(line)
    [parsed] = parse(encoded.decode())
    assert (parsed.event, parsed.id) == ("text", cursor)
    assert parsed.json().get("text", "") == text
    as_line = JsonLines(line.DESCRIPTOR).event(line).decode()
    assert len(as_line.splitlines()) == 1
    assert json.loads(as_line).get("text", "") == text


@pytest.mark.parametrize("text", ["\r", "\n", "\r\n", "\u2028", "\u2029", "\x85", "\0", "data: x"])
def test_text_that_ends_lines_arrives_unchanged(text: str) -> None:
    line = message("Line", text=f"a{text}b")
    encoded = ServerSentEvents(line.DESCRIPTOR).event(line).decode()
    assert len(encoded.splitlines()) == 3
    [parsed] = parse(encoded)
    assert parsed.json()["text"] == f"a{text}b"


def parse(text: str) -> list[ServerSentEvent]:
    """Another project's reader."""
    from httpx_sse._decoders import SSEDecoder  # noqa: PLC0415

    decoder = SSEDecoder()
    found = [decoder.decode(line) for line in text.splitlines()]
    return [event for event in found if event is not None]
