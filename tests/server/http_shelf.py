"""A service of the tests' own contract behind a real chain, served over HTTP without a log."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from prometheus_client import CollectorRegistry

from forebay_server.audit.activity import unheard
from forebay_server.clock import system_clock
from forebay_server.governance.authorisation import MethodPolicies, method_path
from forebay_server.governance.caller import Call
from forebay_server.governance.chain import Chain
from forebay_server.governance.issuers import read_issuers
from forebay_server.governance.key_cache import KeyCache, key_loader
from forebay_server.governance.policy import Policy
from forebay_server.governance.tokens import TokenAuthenticator, TrustedIssuer
from forebay_server.governance.validation import RequestValidator
from forebay_server.http.server import HttpOptions, HttpServer
from forebay_server.metrics.calls import CallMeter
from forebay_server.rpc.drain import Drain
from forebay_server.settings import ServerSettings

from .http_contract import contract
from .without_log import Fixed, limiter_in_memory

SHELF = contract().services_by_name["ShelfService"]


def message(kind: str, /, **fields: Any) -> Any:
    return GetMessageClass(contract().message_types_by_name[kind])(**fields)


class Shelf:
    """Answers with what a test has put into it, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answer: Any = None
        self.error: Exception | None = None
        self.stream_error: Exception | None = None
        self.lines: list[Any] = []
        self.more = asyncio.Event()
        self.open_streams = 0
        self.opened = asyncio.Event()
        self.closed = asyncio.Event()

    async def get_book(self, call: Call, request: Message) -> Message:
        return await self._answered(request)

    find_books = put_everything = update_book = lend_book = get_book

    async def read_book(self, call: Call, request: Any) -> AsyncGenerator[Message]:
        """Yields the lines behind the cursor, then waits for `more`, then raises `error`."""
        self.asked.append(request)
        self.open_streams += 1
        self.opened.set()
        try:
            passed = not request.after_cursor
            for line in self.lines:
                if passed:
                    yield line
                passed = passed or line.cursor == request.after_cursor
            await self.more.wait()
            if error := self.error or self.stream_error:
                raise error
        finally:
            self.open_streams -= 1
            self.closed.set()

    async def watch_shelves(self, call: Call, request: Message) -> AsyncGenerator[Message]:
        for count in range(3):
            yield message("ShelfState", books=count)

    async def _answered(self, request: Message) -> Message:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        assert self.answer is not None
        return self.answer


@dataclass
class ShelfEdge:
    shelf: Shelf
    server: HttpServer
    drain: Drain
    port: int
    http: httpx.AsyncClient
    registry: CollectorRegistry


@asynccontextmanager
async def shelf_edge(
    settings: ServerSettings, options: HttpOptions | None = None
) -> AsyncIterator[ShelfEdge]:
    path = settings.policy_file
    shelf, drain = Shelf(), Drain()
    async with httpx.AsyncClient() as keys:
        issuers = [
            TrustedIssuer(issuer, KeyCache(issuer, key_loader(issuer, keys), system_clock))
            for issuer in read_issuers(settings.issuers_file)
        ]
        authenticator = TokenAuthenticator(issuers, system_clock)
        policy = Fixed(Policy.parse(path.read_bytes(), Path(path)))
        methods = MethodPolicies([SHELF])
        limiter = limiter_in_memory()
        chain = Chain(authenticator, policy, methods, RequestValidator(), limiter, unheard)
        registry = CollectorRegistry()
        meter = CallMeter(registry, [method_path(each) for each in SHELF.methods])
        server = HttpServer({SHELF: shelf}, chain, drain, meter, options or HttpOptions())
        port = await server.start("127.0.0.1", 0)
        base = f"http://127.0.0.1:{port}"
        try:
            async with httpx.AsyncClient(base_url=base, timeout=10) as client:
                yield ShelfEdge(shelf, server, drain, port, client, registry)
        finally:
            await server.drain(0)
            await authenticator.close()
