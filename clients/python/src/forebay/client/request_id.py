"""Request ids: UUIDv7 (RFC 9562, section 5.7), by a clock that the server may correct."""

import secrets
import threading
import time
from collections.abc import Callable
from uuid import UUID

_COUNTER_BITS = 42  # RFC 9562, 6.2 method 1, over rand_a and the upper 30 bits of rand_b
_COUNTER_START_BITS = 41  # the top bit starts clear, so that 2 ** 41 ids fit into a millisecond
_RANDOM_BITS = 32  # what is left of rand_b tells processes apart
_SAME_CLOCK = 60.0  # seconds; the server refuses ids that are further ahead, and only those


class RequestIds:
    """Makes request ids that rise strictly, also within one millisecond and over threads.

    Of two versions of a document the one with the later id wins, so the order in which this
    process made them must be the order in which they sort.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._offset = 0.0
        self._milliseconds = 0
        self._counter = 0

    def new(self) -> str:
        """The next id, in lower case."""
        with self._lock:
            self._advance()
            high, low = divmod(self._counter, 1 << (_COUNTER_BITS - 12))
            milliseconds = self._milliseconds
        value = milliseconds << 80 | 0x7 << 76 | high << 64
        value |= 0b10 << 62 | low << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        return str(UUID(int=value))

    def correct(self, server_time: float) -> None:
        """Sets the clock to the server's, in seconds since the epoch.

        Ids that were refused for being ahead were never used: those that follow may be earlier.
        """
        with self._lock:
            self._offset = server_time - self._clock()
            if self._milliseconds > (server_time + _SAME_CLOCK) * 1000:
                self._milliseconds = 0

    def _advance(self) -> None:
        now = int((self._clock() + self._offset) * 1000)
        if now > self._milliseconds:
            self._milliseconds = now
            self._counter = secrets.randbits(_COUNTER_START_BITS)
        else:
            self._counter += 1
        if self._counter >> _COUNTER_BITS:
            self._milliseconds += 1
            self._counter = 0
