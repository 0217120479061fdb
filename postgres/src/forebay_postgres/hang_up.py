"""Ends connections to a server that has stopped answering."""

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

LAST_LOOK_SECONDS = 0.1

logger = logging.getLogger(__name__)


@contextmanager
def hang_up_after(connection: AsyncConnection[TupleRow], seconds: float) -> Iterator[None]:
    """Shut the connection's socket down if the block is not left in time.

    The driver then raises OperationalError at once. The server's own statement timeout does not
    help against a frozen server, and cancelling the task makes the driver wait for that server.
    """
    event_loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []

    def late() -> None:
        # A process that was starved meets its timers before what the server has long since sent.
        timers.append(event_loop.call_later(LAST_LOOK_SECONDS, _shut_down, connection))

    timers.append(event_loop.call_later(seconds, late))
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()


def _shut_down(connection: AsyncConnection[TupleRow]) -> None:
    if connection.closed:
        return
    logger.warning("The database has stopped answering; a connection to it is closed.")
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as shared:
        shared.shutdown(socket.SHUT_RDWR)
