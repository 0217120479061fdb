"""One serving process: from its settings to its last call."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from dataclasses import dataclass

import grpc

from forebay_kafka.heap import settle_heap
from forebay_kafka.watched_file import ConfigurationInvalid
from forebay_server.composition import Configuration, edge
from forebay_server.rpc.server import tls_credentials
from forebay_server.settings import ServerSettings, split_address

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Addresses:
    """Where to serve, as `host:port`; HTTP only where there is an address."""

    grpc: str
    http: str | None = None


class Leaving:
    """Knows when this process is to leave: on SIGTERM or SIGINT, or with its supervisor.

    Before `wait` is called, while the process still starts, leaving cancels its starter.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._starter = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave)

    async def follow_supervisor(self) -> None:
        """Leave when standard input ends: its other end is the supervisor's."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        self._following = asyncio.create_task(self._until_end(reader))

    async def wait(self) -> None:
        """Return once it is time to leave."""
        self._starter = None
        await self._event.wait()

    def _leave(self) -> None:
        self._event.set()
        if self._starter is not None:
            self._starter.cancel()

    async def _until_end(self, reader: asyncio.StreamReader) -> None:
        await reader.read()
        self._leave()


async def serve(configuration: Configuration, addresses: Addresses, *, shared: bool) -> None:
    """Serve until it is time to leave, then drain.

    `shared` says that other processes of the same supervisor serve the ports too. Raises
    ConfigurationInvalid, and CancelledError when it is to leave before it has started.
    """
    settings = configuration.server
    leaving = Leaving()
    if shared:
        await leaving.follow_supervisor()
    credentials = _credentials(settings)
    async with edge(configuration, share_port=shared) as built:
        port = await built.server.start(built.services, addresses.grpc, credentials)
        if built.http is not None and addresses.http is not None:
            await built.http.start(*split_address(addresses.http))
        settle_heap()
        served = {"address": addresses.grpc, "port": port, "http": addresses.http}
        _log.info("serving", extra=served)
        await leaving.wait()
        _log.info("draining", extra={"seconds": settings.drain_timeout})
        drains = [built.server.drain(settings.drain_timeout)]
        if built.http is not None:
            drains.append(built.http.drain(settings.drain_timeout))
        await asyncio.gather(*drains)


def _credentials(settings: ServerSettings) -> grpc.ServerCredentials | None:
    certificate, key = settings.tls_certificate_file, settings.tls_key_file
    if certificate is None or key is None:
        return None
    try:
        return tls_credentials(certificate, key)
    except OSError as error:
        raise ConfigurationInvalid(f"{error.filename}: {error.strerror}") from error
