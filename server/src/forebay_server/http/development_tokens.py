"""Tokens for the page of a development system: whoever sits at this machine may be anybody.

A web page from elsewhere, open in a browser on this machine, is on loopback too. It is told apart
by Host and Origin, which a browser sets and no page can change.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import ClassVar
from urllib.parse import parse_qs

import httpx
from starlette.types import Receive, Scope, Send

from forebay_server.errors import FieldInvalid, Violation
from forebay_server.http.replies import Reply
from forebay_server.http.requests import Request

PATH = "/development/token"
ISSUER_PATH = "/tokens"
ISSUER_SECONDS = 5.0  # it answers in milliseconds, or is gone


class NotThePage(FieldInvalid):
    """The request does not come from the system's own page in a browser on this machine."""

    http_status: ClassVar[int] = 403

    def __init__(self, what: str) -> None:
        super().__init__(Violation(what, "development.own_page", "must be that of the own page"))


class DevelopmentTokens:
    """Hands out what the development issuer signs, to the page that `address` serves."""

    verb = "POST"

    def __init__(self, issuer_url: str, address: str) -> None:
        """Take the issuer's URL and the `host:port` at which HTTP is served."""
        self._url = f"{issuer_url.rstrip('/')}{ISSUER_PATH}"
        self._hosts = frozenset({address, f"localhost:{address.rpartition(':')[2]}"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: `?tier=` says in which tier."""
        self._require_own_page(Request(scope, receive))
        wanted = parse_qs(scope["query_string"].decode("latin-1")).get("tier", [""])
        # Nothing between this process and the issuer, whatever the environment says of proxies.
        async with httpx.AsyncClient(trust_env=False, timeout=ISSUER_SECONDS) as client:
            answer = await client.post(self._url, params={"tier": wanted[0]})
        if answer.is_client_error:
            raise FieldInvalid(Violation("tier", "development.tier", "is not to be had"))
        answer.raise_for_status()
        await Reply(200, answer.content, {"Cache-Control": "no-store"}).send(send)

    def _require_own_page(self, request: Request) -> None:
        client = request.scope.get("client")
        if client is None or not ip_address(client[0]).is_loopback:
            raise NotThePage("address")
        host = request.header("host")
        if host not in self._hosts:
            raise NotThePage("Host")
        if request.header("origin") != f"http://{host}":
            raise NotThePage("Origin")
