"""One client's connection: uvicorn's own, with bounds on what comes before a request."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from forebay_server.errors import FieldInvalid, Violation
from forebay_server.http.replies import refusal
from forebay_server.http.requests import JSON

MAX_HEAD_BYTES = 64 * 1024  # request line and headers: a token of 16 KiB and a cursor fit well
HEAD_SECONDS = 15.0  # for request line and headers to arrive once a connection is there
ABORT = "forebay.abort"


class BoundedConnection(HttpToolsProtocol):
    """Refuses heads that are too large or too slow, for which the parser has no limits.

    The scope's extension `forebay.abort` drops the connection and what it has not taken.
    """

    _head_bytes = 0
    _in_head = True
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer with the connection."""
        self._end_wait()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head, then read it."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Request line and headers are too large.")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        extensions: dict[str, Any] = {ABORT: self.transport.abort}
        self.scope["extensions"] = extensions
        if self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Let the request begin."""
        self._in_head = False
        self._end_wait()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for the next head."""
        super().on_message_complete()
        self._in_head, self._head_bytes = True, 0

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP in the one form that every refusal has."""
        answer = refusal(FieldInvalid(Violation("", "http", msg)))
        head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: {JSON}\r\nConnection: close\r\n"
        head += f"Content-Length: {len(answer.body)}\r\nCache-Control: no-store\r\n\r\n"
        self.transport.write(head.encode() + answer.body)
        self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection; one that never took its last answer has to be cut."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _end_wait(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()
