"""The time by the brokers' clock, for a machine whose own clock may be off."""

import threading
import time
from collections import deque
from collections.abc import Callable

SAMPLES = 16  # as many seconds, where a record is written each second


class LogTime:
    """Follows the broker's clock by the times at which it appended records.

    An acknowledgement is heard a little after its record was appended, so the true distance is at
    least the largest of those seen. Between two of them monotonic time counts: nothing that is
    done to this machine's clock matters any more. Until the first one, this machine's clock counts.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._distances: deque[float] = deque(maxlen=SAMPLES)
        self._lock = threading.Lock()

    def heard(self, append_ms: int) -> None:
        """Learn when the broker appended a record that was acknowledged just now."""
        with self._lock:
            self._distances.append(append_ms / 1000 - self._monotonic())

    def now(self) -> float:
        """Seconds since 1970."""
        with self._lock:
            if not self._distances:
                return time.time()
            return self._monotonic() + max(self._distances)
