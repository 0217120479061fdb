"""Time as the record loop sees it, so that tests can bend it."""

import asyncio
import time
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
    """The time of this machine and of the running event loop."""

    def now(self) -> float:
        """Event-loop time."""
        return asyncio.get_running_loop().time()

    def wall_time(self) -> float:
        """Seconds since 1970."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
