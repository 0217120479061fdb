"""Ends connections to a server that has stopped answering."""

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from forebay_postgres.driver_errors import UNAVAILABLE
from forebay_postgres.errors import DatabaseUnavailable

LAST_LOOK_SECONDS = 0.1

logger = logging.getLogger(__name__)


class HungUp(DatabaseUnavailable):
    """A connection was closed from this side, because the server did not answer in time."""


@contextmanager
def hang_up_after(connection: AsyncConnection[TupleRow], seconds: float) -> Iterator[None]:
    """Shut the connection's socket down if the block is not left in time; then it raises HungUp.

    The driver fails at once by that. The server's own statement timeout does not help against a
    frozen server, and cancelling the task makes the driver wait for that server.
    """
    event_loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []
    hung_up = False

    def shut_down() -> None:
        nonlocal hung_up
        hung_up = True
        _shut_down(connection)

    def late() -> None:
        # A process that was starved meets its timers before what the server has long since sent.
        timers.append(event_loop.call_later(LAST_LOOK_SECONDS, shut_down))

    timers.append(event_loop.call_later(seconds, late))
    try:
        yield
    except psycopg.OperationalError:
        if hung_up:
            raise HungUp(UNAVAILABLE) from None
        raise
    finally:
        for timer in timers:
            timer.cancel()


def _shut_down(connection: AsyncConnection[TupleRow]) -> None:
    if connection.closed:
        return
    logger.warning("The database has stopped answering; a connection to it is closed.")
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as shared:
        shared.shutdown(socket.SHUT_RDWR)
