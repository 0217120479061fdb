"""A streamed chat answer as plain ASGI, which alone can fall silent, break off and notice a leaver.

Starlette's StreamingResponse sees a client leave only at the next chunk, seconds away here.
"""

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.types import Receive, Scope, Send

from forebay_benchmarks.model_server.behaviour import Behaviour
from forebay_benchmarks.model_server.calls import Call

_HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]


class ConnectionCutError(Exception):
    """Raised out of the application so that uvicorn drops the connection in mid-stream."""


class ChatStream:
    """Sends one answer, token by token, the way a behaviour says."""

    def __init__(
        self, call: Call, tokens: list[str], behaviour: Behaviour, usage: dict[str, int]
    ) -> None:
        """Take what to send; sending starts when the ASGI server calls."""
        self._call = call
        self._tokens = tokens
        self._behaviour = behaviour
        self._usage = usage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end or until the client leaves, whichever is first."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
                self._call.outcome = "completed"
            else:
                self._call.outcome = "disconnected"
        except ConnectionCutError:
            self._call.outcome = "cut"
            raise
        finally:
            sending.cancel()
            leaving.cancel()

    async def _send(self, send: Send) -> None:
        self._call.status = 200
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        async for line in self._lines():
            if self._call.chunks == self._behaviour.cut_after_chunks:
                raise ConnectionCutError
            await send({"type": "http.response.body", "body": line, "more_body": True})
            self._call.chunks += 1
        await send({"type": "http.response.body", "body": b""})

    async def _lines(self) -> AsyncIterator[bytes]:
        async for token in self._paced():
            yield self._line({"content": token})
        if self._behaviour.unfinished:
            return
        yield self._line({}, finish="length" if self._behaviour.answer_tokens else "stop")
        if self._behaviour.usage:
            yield _event({"object": "chat.completion.chunk", "choices": [], "usage": self._usage})
        yield b"data: [DONE]\n\n"

    async def _paced(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        start = loop.time() + self._behaviour.first_token_seconds
        pace = self._behaviour.tokens_per_second
        for index, token in enumerate(self._tokens):
            if self._behaviour.hang == "midway" and index == len(self._tokens) // 2:
                await asyncio.Event().wait()
            # Due times are absolute: a late token does not delay those behind it.
            due = start + (index / pace if pace else 0.0)
            await asyncio.sleep(max(0.0, due - loop.time()))
            yield token

    def _line(self, delta: dict[str, str], finish: str | None = None) -> bytes:
        if self._behaviour.malformed == "json":
            return b'data: {"choices": [{"delta"\n\n'
        if self._behaviour.malformed == "shape":
            return _event({"choices": "none", "id": 7})
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _event(
            {
                "id": "chatcmpl-0",
                "object": "chat.completion.chunk",
                "created": int(self._call.started),
                "model": self._call.model,
                "choices": [choice],
            }
        )


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(body: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"
