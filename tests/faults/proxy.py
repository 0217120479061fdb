"""Somebody between two parts who delays what they say, cuts them off, or lets nobody through."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self

from forebay_standalone.ports import LOOPBACK

CHUNK = 65_536


class Proxy:
    """Carries TCP connections to a port of loopback, in a thread and event loop of its own.

    `target` is asked for each connection: the port may not be known yet when the proxy begins.
    """

    def __init__(self, port: int, target: Callable[[], int]) -> None:
        self.port = port
        self.delay = 0.0
        """Seconds that every piece waits, in each direction."""
        self.open = True
        """Whether new connections are let through."""
        self.connections = 0
        self._target = target
        self._links: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._link, LOOPBACK, self.port))
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Break every connection off."""
        self._call(self._cut())

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _close(self) -> None:
        self._server.close()
        await self._cut()

    async def _cut(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A cancelled handler would be reported as a failure of the server.
        link = asyncio.create_task(self._carry_both(reader, writer))
        self._links.add(link)
        self.connections += 1
        await asyncio.wait({link})
        self._links.discard(link)
        writer.transport.abort()  # one that was cut before it began has no end of its own

    async def _carry_both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not self.open:
                return
            there, back = await asyncio.open_connection(LOOPBACK, self._target())
            try:
                ways = (self._carry(reader, back), self._carry(there, writer))
                tasks = {asyncio.ensure_future(way) for way in ways}
                try:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
            finally:
                back.transport.abort()
        except OSError:
            return

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while piece := await reader.read(CHUNK):
            if self.delay:
                # Later pieces overtake nobody: each waits for the same time in one queue.
                loop.call_later(self.delay, _write, writer, piece)
            else:
                writer.write(piece)
                await writer.drain()


def _write(writer: asyncio.StreamWriter, piece: bytes) -> None:
    if not writer.transport.is_closing():
        writer.write(piece)
