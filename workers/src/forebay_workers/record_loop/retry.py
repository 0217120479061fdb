"""Whether a failed record is tried again, and after how long."""

import random
from collections.abc import Callable

from forebay_kafka.errors import KafkaError, LogUnavailable
from forebay_workers.record_loop.settings import RetryPolicy
from forebay_workers.record_loop.stage import Retry

DOUBLINGS = 16  # far past any longest_delay; 2 to a higher power is only a big number

Jitter = Callable[[float], float]


def full_jitter(ceiling: float) -> float:
    """Draw a wait from [0, ceiling] ("Exponential Backoff And Jitter", AWS, 2015)."""
    return random.uniform(0, ceiling)  # noqa: S311 spreads load, hides nothing


def retry_of(error: Exception) -> Retry | None:
    """Read what an error says of a retry; None where it says nothing."""
    declared = getattr(error, "retry", None)
    if isinstance(declared, Retry):
        return declared
    if isinstance(error, LogUnavailable):
        return Retry.UNTIL_BACK  # without the log, no dead letter could be written either
    if isinstance(error, KafkaError):
        return Retry.NEVER  # too large, unreadable, unproven: the same bytes fail again
    return None


def asked_wait(error: Exception) -> float:
    """Seconds that an error asks to wait; 0 where it does not say."""
    asked = getattr(error, "retry_after", None)
    return float(asked) if isinstance(asked, int | float) else 0.0


class Backoff:
    """The waits between attempts at one record."""

    def __init__(self, policy: RetryPolicy, jitter: Jitter = full_jitter) -> None:
        self._policy = policy
        self._jitter = jitter

    def delay(self, error: Exception, *, attempt: int) -> float:
        """Seconds to wait after a failed attempt, counted from 1."""
        doubled = self._policy.first_delay * 2.0 ** min(attempt - 1, DOUBLINGS)
        wait = self._jitter(min(doubled, self._policy.longest_delay))
        return max(wait, asked_wait(error))

    def next_delay(self, error: Exception, *, attempt: int, elapsed: float) -> float | None:
        """Seconds to wait before the next attempt; None when there is to be none.

        `elapsed` counts seconds since the first attempt began.
        """
        retry = retry_of(error)
        delay = self.delay(error, attempt=attempt)
        if retry in (Retry.UNTIL_BACK, Retry.THROTTLED):
            return delay
        if retry is Retry.NEVER or elapsed + delay > self._budget(error):
            return None
        if retry is None and attempt >= self._policy.unknown_attempts:
            return None
        return delay

    def _budget(self, error: Exception) -> float:
        patience = getattr(error, "patience", None)
        return patience if isinstance(patience, int | float) else self._policy.budget
