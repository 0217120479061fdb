"""What an issuer's server, or whoever stands in its place, can do to the edge: nothing."""

import asyncio
import gzip
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import httpx
import pytest

from forebay_server.clock import system_clock
from forebay_server.errors import IssuerUnavailable
from forebay_server.governance.issuers import Issuer
from forebay_server.governance.key_cache import MAX_BYTES, KeyCache, key_loader

from .keys import AUDIENCE, ISSUER, ec_key, public_jwk

KEYS = json.dumps({"keys": [public_jwk(ec_key(), "k1")]}).encode()
PATIENCE = 0.3  # seconds that the edge grants a fetch here
CHUNK = b" " * 65_536

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Wire:
    """A server that says what a test tells it; counts calls, and the bytes it got rid of."""

    def __init__(self, speak: Speak) -> None:
        self._speak = speak
        self.calls = 0
        self.asked = b""
        self.taken = 0
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        try:
            self.asked = await reader.readuntil(b"\r\n\r\n")
            await self._speak(reader, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the edge had enough
        finally:
            writer.close()

    async def endless(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(CHUNK)
            await writer.drain()
            self.taken += len(CHUNK)


def saying(content: bytes) -> Speak:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(content)

    return speak


def dripping(before: bytes, drops: Iterable[bytes]) -> Speak:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(before)
        for drop in drops:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(PATIENCE / 10)

    return speak


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()  # until the edge hangs up


def answer(status: str = "200 OK", body: bytes = KEYS, **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status}", f"content-length: {len(body)}", *lines])
    return head.encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def wire(speak: Speak) -> AsyncIterator[Wire]:
    shown = Wire(speak)
    server = await asyncio.start_server(shown.answer, "127.0.0.1", 0)
    shown.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    async with server:
        yield shown


def issuer_at(url: str) -> Issuer:
    return Issuer.model_validate(
        {
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "jwks_url": url,
            "fetch_timeout_seconds": PATIENCE,
        }
    )


async def finds(url: str) -> bool:
    issuer = issuer_at(url)
    async with httpx.AsyncClient() as client:
        return (
            await KeyCache(issuer, key_loader(issuer, client), system_clock).find("k1") is not None
        )


async def unavailable(speak: Speak) -> Wire:
    async with wire(speak) as shown:
        with pytest.raises(IssuerUnavailable):
            await finds(shown.url)
    return shown


def drops() -> Iterable[bytes]:
    while True:
        yield b" "


@pytest.mark.parametrize(
    "speak",
    [
        silent,
        dripping(b"", (bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\nx: " + b"x" * 1000)),
        dripping(b"HTTP/1.1 200 OK\r\n\r\n" + KEYS, drops()),
    ],
    ids=["says nothing", "drips its header", "drips its body"],
)
async def test_a_slow_server_is_given_up_on_in_time(speak: Speak) -> None:
    begun = time.monotonic()
    await unavailable(speak)
    # Of the whole fetch, however many drops it has; a read may take 5 s by default.
    assert time.monotonic() - begun < PATIENCE + 4


async def test_a_body_without_an_end_is_not_read_to_its_end() -> None:
    shown = Wire(silent)
    shown._speak = shown.endless
    server = await asyncio.start_server(shown.answer, "127.0.0.1", 0)
    async with server:
        with pytest.raises(IssuerUnavailable):
            await finds(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys")
    # What lies in the buffers of both sockets was sent, and not read.
    assert shown.taken < MAX_BYTES + 16 * 1024 * 1024


async def test_a_compressed_set_is_refused_before_it_unfolds() -> None:
    bomb = gzip.compress(KEYS + b" " * 5_000_000)
    assert len(bomb) < MAX_BYTES
    shown = await unavailable(saying(answer(body=bomb, content_encoding="gzip")))
    assert b"accept-encoding: identity\r\n" in shown.asked.lower()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_host_is_refused(status: int) -> None:
    async with wire(saying(answer())) as other:
        shown = await unavailable(saying(answer(f"{status} Elsewhere", b"", location=other.url)))
    assert (shown.calls, other.calls) == (1, 0)


@pytest.mark.parametrize("location", ["/other", "", "https://[", "file:///etc/passwd"])
async def test_a_redirect_anywhere_is_refused(location: str) -> None:
    shown = await unavailable(saying(answer("302 Found", b"", location=location)))
    assert shown.calls == 1


@pytest.mark.parametrize(
    "content",
    [
        answer("204 No Content", b""),
        answer("206 Partial Content"),
        answer("304 Not Modified", b""),
        answer("404 Not Found"),
        answer("500 Internal Server Error"),
        answer(body=b""),
        answer(body=b"<html>"),
        answer(body=KEYS[:-1]),
        answer(body=KEYS + b"x"),
        answer(body=KEYS.decode().encode("utf-16")),
        answer(body=KEYS + b" " * MAX_BYTES),
        b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + KEYS,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n" + KEYS,
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * 1_000_000,
        b"SSH-2.0-server\r\n",
        b"",
    ],
    ids=lambda content: str(content[9:50]),
)
async def test_an_answer_that_is_no_set_of_keys_is_an_outage(content: bytes) -> None:
    await unavailable(saying(content))


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", "nonsense"])
async def test_the_content_type_does_not_matter(kind: str) -> None:
    async with wire(saying(answer(content_type=kind))) as shown:
        assert await finds(shown.url)


async def test_a_server_that_is_not_there_is_an_outage() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        with pytest.raises(IssuerUnavailable):
            await finds(f"http://127.0.0.1:{taken.getsockname()[1]}/keys")


async def test_a_name_that_no_resolver_takes_is_an_outage() -> None:
    with pytest.raises(IssuerUnavailable):
        await finds(f"https://{'a' * 64}.test/keys")


async def test_a_caller_that_gives_up_does_not_end_the_fetch_for_the_others() -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go.wait()
        writer.write(answer())

    async with wire(speak) as shown, httpx.AsyncClient() as client:
        issuer = issuer_at(shown.url)
        cache = KeyCache(issuer, key_loader(issuer, client), system_clock)
        first = asyncio.create_task(cache.find("k1"))
        second = asyncio.create_task(cache.find("k1"))
        await asked.wait()
        first.cancel()
        go.set()
        assert await second is not None
        assert shown.calls == 1
        with pytest.raises(asyncio.CancelledError):
            await first
