"""A process that slept: its group may have given its partitions to others meanwhile."""

import time
from collections.abc import Callable

ASLEEP_SECONDS = 3.0  # half of a session by default: what awake event loops never need for a round
DOUBT_SECONDS = 2.0  # the client hears within one of them that its session is over


class SleepGuard:
    """Nothing is begun after a sleep before the group could say who owns what.

    What the loop had fetched is still there when a suspended process wakes, and each record of it
    could be paid for a second time before the news of its loss arrives.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._awake = self._doubt_ends = now()

    def tick(self) -> None:
        """Say that the process is awake; to be called far more often than ASLEEP_SECONDS."""
        now = self._now()
        if now - self._awake > ASLEEP_SECONDS:
            self._doubt_ends = now + DOUBT_SECONDS
        self._awake = now

    def wait(self) -> float:
        """Seconds until something may begin; 0 when the process has been awake."""
        now = self._now()
        if now - self._awake > ASLEEP_SECONDS:  # it has woken, and this comes before the tick
            return DOUBT_SECONDS
        return max(0.0, self._doubt_ends - now)
