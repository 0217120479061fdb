"""How fast a stage may call a service that asked it to slow down."""

from collections.abc import Iterator
from contextlib import contextmanager

from forebay_workers.record_loop.clock import Clock
from forebay_workers.record_loop.retry import Backoff, asked_wait

SHOWN_SECONDS = 5.0  # how long a stage calls itself throttled after a complaint


class Throttle:
    """One gate for all calls of a stage: additive increase, multiplicative decrease.

    (Chiu and Jain, 1989.) Calls that were under way at the last complaint belong to it: they
    neither halve `limit` again nor raise it.
    """

    def __init__(self, most: int, backoff: Backoff, clock: Clock) -> None:
        self.limit = float(most)
        self._most = most
        self._backoff = backoff
        self._clock = clock
        self._opens = self._slowed = float("-inf")
        self._in_a_row = self._calls = 0

    @property
    def shown(self) -> bool:
        """Whether the stage was asked to slow down lately."""
        return self._clock.now() < max(self._opens, self._slowed + SHOWN_SECONDS)

    def wait(self) -> float:
        """Seconds until a call may start."""
        return max(0.0, self._opens - self._clock.now())

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count a call that is under way."""
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1

    def slow_down(self, error: Exception, *, began: float) -> None:
        """Hear the complaint of a call that began at a time."""
        now = self._clock.now()
        wait = asked_wait(error)
        if began > self._slowed:
            self._slowed = now
            self._in_a_row += 1
            self.limit = max(1.0, min(self.limit, self._calls + 1) / 2)
            wait = self._backoff.delay(error, attempt=self._in_a_row)
        self._opens = max(self._opens, now + wait)

    def succeeded(self, *, began: float) -> None:
        """Hear that a call went well."""
        if began > self._slowed:
            self._in_a_row = 0
            self.limit = min(float(self._most), self.limit + 1 / self.limit)
