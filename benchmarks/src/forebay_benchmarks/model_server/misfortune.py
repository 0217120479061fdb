"""Decides per call whether it is refused, and with what."""

import random
import time
from dataclasses import dataclass

from forebay_benchmarks.model_server.behaviour import Behaviour, Kind

_OK = 200
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """The status of a call, and its Retry-After in seconds when it has one."""

    status: int
    retry_after: float | None = None


class Misfortune:
    """The dice and counters behind one behaviour; a new behaviour begins anew."""

    def __init__(self, behaviour: Behaviour) -> None:
        """Start with full counters."""
        self.behaviour = behaviour
        self._throttles_left = behaviour.throttle_first
        self._dice = random.Random(behaviour.seed)  # noqa: S311 - repeatable, not secret
        self._second = 0
        self._calls_this_second = 0

    def hits(self, kind: Kind) -> bool:
        """Tell whether calls of this kind misbehave at all."""
        return kind in self.behaviour.kinds

    def verdict(self, kind: Kind) -> Verdict:
        """Judge one call."""
        if not self.hits(kind):
            return Verdict(_OK)
        if self._throttled():
            return Verdict(_TOO_MANY_REQUESTS, self.behaviour.retry_after_seconds)
        if self.behaviour.refuse_status:
            return Verdict(self.behaviour.refuse_status)
        if self._dice.random() < self.behaviour.error_probability:
            return Verdict(_SERVER_ERROR)
        return Verdict(_OK)

    def _throttled(self) -> bool:
        if self._throttles_left > 0:
            self._throttles_left -= 1
            return True
        if not self.behaviour.throttle_above:
            return False
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._calls_this_second = second, 0
        self._calls_this_second += 1
        return self._calls_this_second > self.behaviour.throttle_above
