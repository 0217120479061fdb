"""Turns the driver's errors into the tree of this package, and logs what they said."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from forebay_postgres.errors import DatabaseUnavailable, StatementTimedOut, StorageDefect

UNAVAILABLE = "The database is unavailable."
TIMED_OUT = "The database did not answer in time."

logger = logging.getLogger(__name__)

_TIMEOUTS = (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable)
_OUTAGES = (
    psycopg.OperationalError,  # refused, broken, shut down, out of resources, deadlock
    psycopg.InterfaceError,  # the connection was closed under us
    psycopg.errors.ReadOnlySqlTransaction,  # a failover left us on a standby
    psycopg.errors.IdleInTransactionSessionTimeout,
    PoolTimeout,
    PoolClosed,
    TooManyRequests,
)


@contextmanager
def driver_errors() -> Iterator[None]:
    """Raise StorageError for anything that the driver or the pool raises.

    What the server says of a statement may quote what was stored: its state, table and constraint
    are logged. Where there is no state, the driver speaks of connections, and is logged whole.
    """
    try:
        yield
    except _TIMEOUTS as error:
        logger.warning("A statement was cancelled: %s", type(error).__name__)
        raise StatementTimedOut(TIMED_OUT) from None
    except _OUTAGES as error:
        said = getattr(error, "sqlstate", None) or error
        logger.warning("The database is unavailable: %s: %s", type(error).__name__, said)
        raise DatabaseUnavailable(UNAVAILABLE) from None
    except psycopg.Error as error:
        logger.error(  # noqa: TRY400 (a traceback would print the driver's text)
            "The database refused a statement: %s, SQLSTATE %s, table %s, constraint %s",
            type(error).__name__,
            error.sqlstate,
            error.diag.table_name,
            error.diag.constraint_name,
        )
        raise StorageDefect(error.sqlstate) from None
