"""Crowds of readers: none loses an event, and none leaves anything behind."""

import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress

import psutil
import pytest

from .conftest import Installation
from .http_edge import bearer
from .http_shelf import ShelfEdge, message, shelf_edge

READ = "/v1/shelves/a/books/b:read"
READERS = 500
EVENTS = 40
# SOAK_STREAMS=200000 takes some minutes.
CANCELLED = int(os.environ.get("SOAK_STREAMS", "2000"))
AT_ONCE = 50
MOST_BLOCKS = 1_000  # of memory that Python allocates: each stream has hundreds
MOST_GROWTH = 32 * 1024 * 1024  # of the process: the allocators of C keep some of what was freed


@pytest.fixture
async def edge(installation: Installation) -> AsyncIterator[ShelfEdge]:
    async with shelf_edge(installation.settings) as built:
        yield built


@pytest.fixture
def head(installation: Installation) -> bytes:
    authorization = bearer(installation.token())["authorization"]
    return f"GET {READ} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode()


async def opened(edge: ShelfEdge, head: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream whose first event is on its way."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(head)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    return reader, writer


async def test_five_hundred_readers_at_once_lose_no_event(edge: ShelfEdge, head: bytes) -> None:
    edge.shelf.lines = [message("Line", cursor=f"c{n}", text="x" * 100) for n in range(EVENTS)]
    streams = [await opened(edge, head) for _ in range(READERS)]
    assert edge.shelf.open_streams == READERS
    edge.shelf.more.set()

    async def ids(reader: asyncio.StreamReader) -> list[bytes]:
        return [line[4:].strip() async for line in reader if line.startswith(b"id: ")]

    # The connection stays open behind the stream's end, so the server closes it first.
    reading = [asyncio.create_task(ids(reader)) for reader, _ in streams]
    async with asyncio.timeout(60):
        while edge.shelf.open_streams:  # noqa: ASYNC110 only the last of them would tell
            await asyncio.sleep(0.01)
    await edge.server.drain(5)
    found = await asyncio.gather(*reading)
    assert found == [[f"c{n}".encode() for n in range(EVENTS)]] * READERS
    for _, writer in streams:
        writer.close()


async def test_streams_that_are_hung_up_leave_no_growth(
    edge: ShelfEdge, head: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.shelf.lines = [message("Line", cursor="c", text="x" * 100)]

    async def hung_up() -> None:
        _, writer = await opened(edge, head)
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()

    async def hang_up(count: int) -> None:
        for _ in range(0, count, AT_ONCE):
            await asyncio.gather(*(hung_up() for _ in range(AT_ONCE)))
        async with asyncio.timeout(10):
            while edge.shelf.open_streams:  # noqa: ASYNC110 only the last of them would tell
                await asyncio.sleep(0.01)
        edge.shelf.asked.clear()

    await hang_up(CANCELLED // 4)
    tasks, blocks, before = (
        len(asyncio.all_tasks()),
        allocated(),
        psutil.Process().memory_info().rss,
    )
    await hang_up(CANCELLED)
    grown = psutil.Process().memory_info().rss - before
    with capsys.disabled():
        print(f"\n{CANCELLED} cancelled streams: {grown / 2**20:+.1f} MiB")
    assert len(asyncio.all_tasks()) <= tasks + 1
    assert allocated() - blocks < MOST_BLOCKS
    assert grown < MOST_GROWTH


def allocated() -> int:
    """Blocks of memory that are in use."""
    gc.collect()
    return sys.getallocatedblocks()
