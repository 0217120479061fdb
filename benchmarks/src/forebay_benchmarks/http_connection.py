"""One HTTP/1.1 connection with as little as a load generator needs: it must not be what is slow."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from forebay_benchmarks.errors import CallFailed

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_OK = b"200"
_LINE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Endpoint:
    """Where to call (`host:port`), and as whom."""

    address: str
    token: str

    def head(self, verb: str, path: str, more: str = "") -> bytes:
        """The request line and headers, without the empty line behind them."""
        head = f"{verb} {path} HTTP/1.1\r\nHost: {self.address}\r\nAuthorization: Bearer "
        return f"{head}{self.token}\r\n{more}".encode()


class HttpConnection:
    """Kept alive from call to call. Raises CallFailed for every answer but 200."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, endpoint: Endpoint) -> HttpConnection:
        """Connect."""
        host, port = endpoint.address.rsplit(":", 1)
        return cls(*await asyncio.open_connection(host, int(port), limit=_LINE_BYTES))

    async def post(self, head: bytes, body: bytes) -> bytes:
        """Send JSON; the body of the answer."""
        self._writer.write(b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body))
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(answer)
        if length is None:
            raise CallFailed("an answer without a length")
        content = await self._reader.readexactly(int(length[1]))
        _require_ok(answer, content)
        return content

    async def stream(self, head: bytes) -> asyncio.StreamReader:
        """Begin a stream; what reads its lines, those of HTTP's chunks among them."""
        self._writer.write(head + b"\r\n")
        _require_ok(await self._reader.readuntil(b"\r\n\r\n"), b"")
        return self._reader

    def close(self) -> None:
        """Hang up."""
        self._writer.transport.abort()


def _require_ok(answer: bytes, content: bytes) -> None:
    if answer.split(b" ", 2)[1] != _OK:
        raise CallFailed((answer.split(b"\r\n", 1)[0] + b" " + content[:200]).decode())
