"""Time as the record loop sees it, so that tests can bend it."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """A source of time; all values in seconds."""

    def now(self) -> float:
        """Event-loop time."""

    def wall_time(self) -> float:
        """Seconds since 1970."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The time of the running event loop, and what counts for the time of day."""

    def __init__(self, wall_time: Callable[[], float] = time.time) -> None:
        """`wall_time` gives seconds since 1970: the log's, or this machine's."""
        self._wall_time = wall_time

    def now(self) -> float:
        """Event-loop time."""
        return asyncio.get_running_loop().time()

    def wall_time(self) -> float:
        """Seconds since 1970."""
        return self._wall_time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
