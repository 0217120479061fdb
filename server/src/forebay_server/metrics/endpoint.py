"""The private port that shows the figures."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server

from forebay_server.port import PortInUse
from forebay_server.settings import split_address

log = logging.getLogger(__name__)


@asynccontextmanager
async def metrics_endpoint(
    registry: CollectorRegistry, address: str | None, processes: int
) -> AsyncIterator[None]:
    """Show the figures at `host:port`; without an address nothing is shown.

    Of several processes each takes the first of as many ports that is free, so that one that
    starts again has the port that was given up. Raises PortInUse when there is none.
    """
    if address is None:
        yield
        return
    host, first = split_address(address)
    server, thread = _started(registry, host, first, processes)
    log.info("showing figures", extra={"port": server.server_port})
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await asyncio.to_thread(thread.join)


def _started(
    registry: CollectorRegistry, host: str, first: int, processes: int
) -> tuple[WSGIServer, Thread]:
    last = first + processes - 1
    for port in range(first, last + 1):
        try:
            return start_http_server(port, host, registry)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise PortInUse(f"cannot listen on {host}:{port}: {error.strerror}") from error
    raise PortInUse(f"cannot listen on {host}:{first}-{last}: all in use")
