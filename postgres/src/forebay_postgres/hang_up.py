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

STEPS = 10  # in which a wait is counted

logger = logging.getLogger(__name__)


class HungUp(DatabaseUnavailable):
    """A connection was closed from this side, because the server did not answer in time."""


@contextmanager
def hang_up_after(connection: AsyncConnection[TupleRow], seconds: float) -> Iterator[None]:
    """Shut the connection's socket down if the block is not left in time; then it raises HungUp.

    The driver fails at once by that. The server's own statement timeout does not help against a
    frozen server, and cancelling the task makes the driver wait for that server.

    The time is counted in steps: an event loop that stood still itself has used up one of them, and
    reads what the server has long since sent before the last.
    """
    event_loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle
    steps, hung_up = 0, False

    def count() -> None:
        nonlocal steps, timer, hung_up
        steps += 1
        if steps < STEPS:
            timer = event_loop.call_later(seconds / STEPS, count)
            return
        hung_up = True
        _shut_down(connection)

    timer = event_loop.call_later(seconds / STEPS, count)
    try:
        yield
    except psycopg.OperationalError:
        if hung_up:
            raise HungUp(UNAVAILABLE) from None
        raise
    finally:
        timer.cancel()


def _shut_down(connection: AsyncConnection[TupleRow]) -> None:
    if connection.closed:
        return
    logger.warning("The database has stopped answering; a connection to it is closed.")
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as shared:
        shared.shutdown(socket.SHUT_RDWR)
