"""The HTTP server: the contract behind the same chain as gRPC, on the same event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import uvicorn
from google.protobuf.descriptor import ServiceDescriptor

from forebay_server.governance.chain import Chain
from forebay_server.http import development_tokens
from forebay_server.http.application import application
from forebay_server.http.comments import contract_comments
from forebay_server.http.connection import BoundedConnection
from forebay_server.http.development_tokens import DevelopmentTokens
from forebay_server.http.docs_page import docs_page
from forebay_server.http.openapi import openapi
from forebay_server.http.operations import Operations
from forebay_server.http.pages import Check, Readiness, plain_pages
from forebay_server.http.web_page import web_page
from forebay_server.metrics.calls import CallMeter
from forebay_server.rpc.drain import Drain

BACKLOG = 2_048  # a burst of clients waits in the kernel instead of being refused
KEEP_ALIVE_SECONDS = 75  # above the minute for which common proxies keep idle connections
CUT_SECONDS = 1.0  # enough for the last statuses to reach their clients


@dataclass(frozen=True)
class HttpOptions:
    """How HTTP is served.

    `envelope_jwks` gives the JWKS with which envelopes are verified now, as JSON; of its keys the
    public members are shown. `allows_origin` says of an origin, as browsers spell it, whether its
    pages may call. `checks` say what a ready edge needs; `development` is there on a development
    system alone.
    """

    envelope_jwks: Callable[[], str] = lambda: '{"keys": []}'
    allows_origin: Callable[[str], bool] = lambda _: False
    checks: Mapping[str, Check] = field(default_factory=dict)
    development: DevelopmentTokens | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    share_port: bool = False


class HttpServer:
    """One HTTP server on the running event loop."""

    def __init__(
        self,
        services: Mapping[ServiceDescriptor, object],
        chain: Chain,
        drain: Drain,
        meter: CallMeter,
        options: HttpOptions,
    ) -> None:
        self._drain = drain
        self._options = options
        self._ready = Readiness(options.checks)
        operations = Operations(services, chain, drain, meter)
        document = openapi(operations.bindings, contract_comments(), version("forebay-server"))
        pages = plain_pages(document, docs_page(document), options.envelope_jwks)
        pages["/readyz"] = self._ready
        pages |= web_page(development_tokens=options.development is not None)
        if options.development is not None:
            pages[development_tokens.PATH] = options.development
        self._app = application(document, operations, pages, options.allows_origin)

    async def start(self, host: str, port: int) -> int:
        """Serve there, with TLS when there is a certificate; the port. Raises OSError."""
        bound = _bound(host, port, shared=self._options.share_port)
        config = uvicorn.Config(
            self._app,
            http=BoundedConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # strangers must not fill the log with what is no HTTP
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(CUT_SECONDS),
            ssl_certfile=self._options.certificate_file,
            ssl_keyfile=self._options.key_file,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[bound]))
        await self._server.listening.wait()
        return int(bound.getsockname()[1])

    async def drain(self, seconds: float) -> None:
        """Leave: not ready at once, no new connections, SERVER_DRAINING for what runs at the end.

        The drain is shared with gRPC's server: whoever drains first cuts the calls of both.
        """
        self._ready.leaving = True
        self._server.refuse_connections()
        await self._drain.idle_within(seconds)
        self._drain.cut()
        await self._drain.idle_within(CUT_SECONDS)
        self._server.should_exit = True
        await self._serving


class _Server(uvicorn.Server):
    """uvicorn's server as a guest: signals are its host's, and it says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self.listening.set()

    def refuse_connections(self) -> None:
        """Listen no more; what is connected stays."""
        for server in self.servers:
            server.close()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, because asyncio turns Nagle's delay (40 ms an answer) off for this protocol alone.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)  # noqa: FBT003 the library's parameter
    return bound
