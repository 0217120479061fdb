"""uvicorn as the edge runs it, for baselines."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

_BACKLOG = 2_048


@asynccontextmanager
async def served(app: Any, address: str) -> AsyncIterator[None]:  # noqa: ANN401 - an ASGI application
    """Serve an ASGI application at `host:port`; who comes early waits in the backlog."""
    host, port = address.rsplit(":", 1)
    bound = socket.create_server((host, int(port)), backlog=_BACKLOG)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="critical",  # streams that are cut at the end are no news
        access_log=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    config.load()
    serving = asyncio.create_task(server._serve(sockets=[bound]))  # noqa: SLF001 - signals are the parent's
    try:
        yield
    finally:
        server.should_exit = True
        await serving
