"""Where calls and answers under way are counted: in this process, or in a store that many share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

WINDOW_SECONDS = 60.0  # of requests per minute


class StoreDown(Exception):
    """The store does not answer."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What a window holds after a call; times are seconds from now.

    `used` calls were admitted in the last minute; `free_in` is when the next one fits, 0 when this
    one did; `reset_in` is when all of the minute's calls are forgotten.
    """

    admitted: bool
    used: int
    free_in: float
    reset_in: float


@dataclass(frozen=True, slots=True)
class CallsLeft:
    """What a call leaves of a limit; all of it is back in `reset_in` seconds."""

    limit: int
    remaining: int
    reset_in: float


@dataclass(frozen=True, slots=True)
class Held:
    """What a holder has after it asked for a lease.

    `new` says that the holder had none of that name before; `under_way` counts its leases;
    `free_in` is when the first of them ends, in seconds, if nobody renews it.
    """

    granted: bool
    new: bool
    under_way: int
    free_in: float


class LimitStore(Protocol):
    """Counts exactly however many ask at once. Every method raises StoreDown."""

    async def count_call(self, holder: str, limit: int) -> Counted:
        """Admit a call if there were fewer than `limit` in the last minute; 0 only looks."""

    async def hold(self, holder: str, name: str, limit: int | None, seconds: float) -> Held:
        """Take or renew the lease of that name for so many seconds.

        A lease that is there is always renewed, another granted if there are fewer than `limit`;
        None grants in any case, 0 only looks.
        """

    async def release(self, holder: str, name: str) -> None:
        """Give a lease back; one that is not there is none."""
