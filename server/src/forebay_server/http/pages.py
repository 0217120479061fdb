"""What is served beside the contract: its document, health, and the envelope's public keys."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from forebay_server.http.replies import Reply
from forebay_server.http.request_headers import accepts_gzip
from forebay_server.http.requests import Request

Check = Callable[[], Awaitable[bool]]
"""Whether one thing that the edge needs is there."""

CHECK_SECONDS = 2.0  # probes give up after a second or more, and ask again
KEEP_SECONDS = 1.0  # anybody may ask, so that asking must cost nothing
KEY_AGE_SECONDS = 300
PUBLIC_MEMBERS = frozenset({"kty", "kid", "use", "alg", "crv", "x", "y", "n", "e", "nbf", "exp"})

_log = logging.getLogger(__name__)


class Page:
    """One fixed answer."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._reply.send(send, accepts_gzip=accepts_gzip(Request(scope, receive)))


def verb_of(page: ASGIApp) -> str:
    """The HTTP method by which a page is asked for."""
    return str(getattr(page, "verb", "GET"))


class KeysPage:
    """The public keys of this moment."""

    def __init__(self, jwks: Callable[[], str]) -> None:
        self._jwks = jwks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = {"Cache-Control": f"public, max-age={KEY_AGE_SECONDS}"}
        reply = Reply(200, public_keys(self._jwks()), headers)
        await reply.send(send, accepts_gzip=accepts_gzip(Request(scope, receive)))


class Readiness:
    """200 while everything is there that calls need, 503 otherwise and while leaving."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self.leaving = False
        self._checks = checks
        self._asking: asyncio.Task[Mapping[str, bool]] | None = None
        self._asked_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one probe."""
        found = {**await asyncio.shield(self._found()), "serving": not self.leaving}
        good = all(found.values())
        body = json.dumps({"ready": good, "checks": found}).encode()
        await Reply(200 if good else 503, body, {"Cache-Control": "no-store"}).send(send)

    def _found(self) -> asyncio.Task[Mapping[str, bool]]:
        now = asyncio.get_running_loop().time()
        asking = self._asking
        if asking is None or (asking.done() and now - self._asked_at > KEEP_SECONDS):
            asking = self._asking = asyncio.create_task(self._ask())
            self._asked_at = now
        return asking

    async def _ask(self) -> Mapping[str, bool]:
        answers = await asyncio.gather(*(_answer(*check) for check in self._checks.items()))
        return dict(zip(self._checks, answers, strict=True))


async def _answer(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return False
    # A check that fails has its answer; what failed it is for the log.
    except Exception as error:  # noqa: BLE001
        _log.warning("a readiness check failed", extra={"check": name, "error": str(error)})
        return False


def plain_pages(
    document: Mapping[str, Any], docs: Reply, envelope_jwks: Callable[[], str]
) -> dict[str, ASGIApp]:
    """The pages that ask nobody, by path."""
    fresh = {"Cache-Control": "no-cache"}
    return {
        "/openapi.json": Page(Reply(200, json.dumps(document).encode(), fresh)),
        "/docs": Page(docs),
        "/healthz": Page(Reply(200, b'{"healthy":true}', {"Cache-Control": "no-store"})),
        "/.well-known/jwks.json": KeysPage(envelope_jwks),
    }


def public_keys(jwks: str) -> bytes:
    """A JWKS (RFC 7517) with the members of public keys alone."""
    shown = [
        {name: value for name, value in key.items() if name in PUBLIC_MEMBERS}
        for key in json.loads(jwks)["keys"]
    ]
    return json.dumps({"keys": shown}).encode()
