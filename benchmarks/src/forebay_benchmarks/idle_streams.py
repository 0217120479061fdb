"""What an idle stream costs: memory of the serving process before and while they are open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import StreamingResponse

from forebay_benchmarks.bare_server import served
from forebay_benchmarks.child import AsyncMeasure
from forebay_benchmarks.http_connection import Endpoint, HttpConnection
from forebay_benchmarks.samples import Sample

_PAGE_BYTES = 4096
_AT_ONCE = 100  # opened side by side


@dataclass(frozen=True)
class IdleStreams:
    """How many streams are opened where, and the process (its id) that serves them."""

    endpoint: Endpoint
    paths: tuple[str, ...]
    pid: int


@asynccontextmanager
async def idle_streams(config: IdleStreams) -> AsyncIterator[AsyncMeasure]:
    """Yield what opens all of them and measures bytes of memory for each."""

    async def opened(path: str, gate: asyncio.Semaphore) -> HttpConnection:
        async with gate:
            connection = await HttpConnection.open(config.endpoint)
            lines = await connection.stream(config.endpoint.head("GET", path))
            await lines.readline()
            return connection

    async def measure(seconds: float) -> Sample:
        before = resident_bytes(config.pid)
        gate = asyncio.Semaphore(_AT_ONCE)
        connections = await asyncio.gather(*(opened(path, gate) for path in config.paths))
        await asyncio.sleep(seconds)  # streams that settle and beat count as well
        grown = resident_bytes(config.pid) - before
        for connection in connections:
            connection.close()
        return Sample(seconds, (), amount=grown / len(connections))

    yield measure


@asynccontextmanager
async def bare_streams(address: str) -> AsyncIterator[AsyncMeasure | None]:
    """The least: a response that begins, and goes on when there is something to say."""

    async def lines() -> AsyncIterator[bytes]:
        yield b":\n"
        await asyncio.Event().wait()

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        response = StreamingResponse(lines(), media_type="text/event-stream")
        await response(scope, receive, send)

    async with served(app, address):
        yield None


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
