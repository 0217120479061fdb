"""A connection that breaks where a test wants it to."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager


class Wire:
    """Carries bytes between client and peer; resets a connection as a killed process would.

    Attributes:
        target: where clients connect.
        carried: bytes from the peer to the client, of each connection.
    """

    def __init__(self, peer: str, cuts: Iterable[int] = ()) -> None:
        """`cuts`: after how many bytes from the peer the first, second… connection breaks."""
        self.target = ""
        self.carried: list[int] = []
        self._peer = peer
        self._cuts = iter(cuts)
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    def cut(self, *cuts: int) -> None:
        """Breaks the next connections after so many bytes, and at once what is open.

        gRPC keeps the connection of a closed channel for the next one to the same target.
        """
        self.kill()
        self._cuts = iter(cuts)
        self.carried = []

    def kill(self) -> None:
        """Breaks what is open."""
        for writer in self._open:
            _reset(writer)

    def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries a new connection, for asyncio.start_server."""
        self._open.add(writer)
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def close(self) -> None:
        """Breaks everything and waits until it is over."""
        self.kill()
        for serving in self._serving:
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._connect_to_peer(reader, writer)
        finally:
            self._open.discard(writer)
            _reset(writer)

    async def _connect_to_peer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        host, _, port = self._peer.rpartition(":")
        peer_reader, peer_writer = await asyncio.open_connection(host, int(port))
        up = asyncio.create_task(_copy(reader, peer_writer))
        down = asyncio.create_task(self._carry(peer_reader, writer))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            peer_writer.transport.abort()
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cut = next(self._cuts, None)
        carried, number = self.carried, len(self.carried)
        carried.append(0)
        while data := await reader.read(65_536):
            data = data[: None if cut is None else cut - carried[number]]
            carried[number] += len(data)
            writer.write(data)
            await writer.drain()
            if carried[number] == cut:
                return


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and not writer.transport.is_closing():
        # Without lingering, closing sends a reset in place of an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


@asynccontextmanager
async def wire_to(peer: str, cuts: Iterable[int] = ()) -> AsyncIterator[Wire]:
    wire = Wire(peer, cuts)
    server = await asyncio.start_server(wire.connect, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    wire.target = f"{host}:{port}"
    async with server:
        yield wire
    await wire.close()
