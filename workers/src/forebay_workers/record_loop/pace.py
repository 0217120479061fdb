"""As many records at once as help: where all wait for a processor, more only wait longer."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import NoReturn, Self

LOOK_SECONDS = 0.1  # a burst is noticed before anybody waits a second for it
CROWDED = 0.9  # of the time: the loop hardly ever waits for anything but a processor
ROOMY = 0.8
LEAST = 2  # one calculates while the other waits for somebody else
SCHEDULE_STATISTICS = "/proc/thread-self/schedstat"  # ns that it ran, ns that it wanted to


class Pace:
    """How many records a stage has under way, by how busy the event loop's thread is.

    In a loop that is never idle a record more adds nothing to what is done in a second; it makes
    all others later, and among them that of a tenant whose turn it is. Calls that wait for somebody
    else leave the loop idle, and get all the places there are.
    """

    def __init__(self, most: int, raised: Callable[[], None]) -> None:
        """`most` is what the settings allow, `raised` hears when there is more room."""
        self.limit = most
        self._most = most
        self._raised = raised

    async def keep(self) -> NoReturn:
        """Adapt the limit until cancelled; in the event loop whose thread is looked at."""
        with BusyTime() as busy_time:
            then, before = time.monotonic(), busy_time.seconds()
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                now, busy = time.monotonic(), busy_time.seconds()
                self.adapt((busy - before) / (now - then))
                then, before = now, busy

    def adapt(self, busy: float) -> None:
        """Halve the limit where the loop is crowded, widen it by a quarter where there is room."""
        if busy > CROWDED and self.limit > LEAST:
            self.limit = max(LEAST, self.limit // 2)
        elif busy < ROOMY and self.limit < self._most:
            self.limit = min(self._most, self.limit + max(1, self.limit // 4))
            self._raised()


class BusyTime:
    """The time that this thread ran or waited for a processor; without Linux, that it ran."""

    def __enter__(self) -> Self:
        """Begin to look; for the thread that enters."""
        try:
            self._file = os.open(SCHEDULE_STATISTICS, os.O_RDONLY)
        except OSError:
            self._file = -1
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        if self._file >= 0:
            os.close(self._file)

    def seconds(self) -> float:
        """Since the thread began."""
        if self._file < 0:
            return time.thread_time()
        ran, waited, _ = os.pread(self._file, 100, 0).split()
        return (int(ran) + int(waited)) / 1e9
