"""When to try again, and after how long: no I/O and no clock of its own."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from grpc import StatusCode

from forebay.client.errors import NO_REASON, ForebayError
from forebay.errors.v1 import ErrorReason

_ONCE = frozenset(
    {
        # A second refusal in a row means that the token callable has no better token.
        ErrorReason.ERROR_REASON_TOKEN_EXPIRED,
        # A second refusal in a row means that the clock is not what is wrong.
        ErrorReason.ERROR_REASON_REQUEST_ID_OUT_OF_WINDOW,
    }
)
_RESUMED = frozenset({ErrorReason.ERROR_REASON_READER_TOO_SLOW})
_RESET = StatusCode.CANCELLED  # without a reason: a stream that somebody on the way gave up
# The server gives every error of its own a reason; these codes without one come from the way.
_BROKEN = frozenset({StatusCode.INTERNAL, StatusCode.UNKNOWN})
_BROKEN_ATTEMPTS = 3  # such an error may also be a defect that no attempt gets past
_SERVED_SECONDS = 3.0  # a connection that cannot be had is given up before (see channel.py)


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait between attempts: exponential, with jitter.

    Attributes:
        first_delay: before the second attempt, seconds.
        longest_delay: the most that the exponent leads to, seconds.
        patience: how long attempts may go on failing, seconds from the first failure; a
            call's deadline ends them before. Progress ends a row of failures: an event, a
            receipt or a status on a stream, or a stream that stayed open for seconds. A delay
            that the server asks for is waited for when it ends within the patience.
    """

    first_delay: float = 0.05
    longest_delay: float = 2.0
    patience: float = 30.0


class Retries:
    """The attempts of one logical call."""

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        started: float,
        timeout: float | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._deadline = None if timeout is None else started + timeout
        self._jitter = jitter
        self._failing_since: float | None = None
        self._failures = 0
        self._seen: set[int] = set()

    def remaining(self, now: float) -> float | None:
        """Seconds until the call's deadline; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - now)

    def progressed(self) -> None:
        """The call came further: patience and back-off begin anew with the next failure."""
        self._failing_since = None
        self._failures = 0
        self._seen.clear()

    def stream_ended(self, opened: float, now: float) -> None:
        """A stream that stayed open was served, although nothing may have come on it.

        Answers are silent while a model thinks; readers outlive any number of servers then.
        """
        if now - opened >= _SERVED_SECONDS:
            self.progressed()

    def wait_after(self, error: ForebayError, now: float) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            ForebayError: `error`, when there is nothing to try again or no time left for it.
        """
        if not self.may_retry(error):
            raise error
        delay = self._delay(error)
        self._failures += 1
        self._seen.add(error.reason)
        if self._failing_since is None:
            self._failing_since = now
        ends = self._failing_since + self._policy.patience
        if self._deadline is not None:
            ends = min(ends, self._deadline)
        if now + delay >= ends:
            raise error
        return delay

    def may_retry(self, error: ForebayError) -> bool:
        """Whether another attempt can end otherwise."""
        if error.reason in _ONCE:
            return error.reason not in self._seen
        if error.code is StatusCode.RESOURCE_EXHAUSTED:
            return error.retry_delay is not None or error.reason in _RESUMED
        if error.code in _BROKEN:
            return error.reason == NO_REASON and self._failures < _BROKEN_ATTEMPTS
        if error.code is _RESET:
            return error.reason == NO_REASON
        return error.code is StatusCode.UNAVAILABLE

    def _delay(self, error: ForebayError) -> float:
        if error.reason in _ONCE and error.retry_delay is None:
            return 0.0
        ceiling = self._policy.first_delay * 2.0 ** min(self._failures, 16)
        # Between half and all of it: clients that failed together do not return together.
        backoff = min(ceiling, self._policy.longest_delay) * (1 + self._jitter()) / 2
        return max(backoff, (error.retry_delay or 0.0) * (1 + self._jitter() / 10))
