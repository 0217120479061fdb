"""What one round measures, and the arithmetic on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one side: how long it took (seconds) and a latency (seconds) per call.

    A failed call has no latency; it counts in `failures`.
    """

    seconds: float
    latencies: tuple[float, ...]
    failures: int = 0

    @property
    def rate(self) -> float:
        """Calls that succeeded, per second."""
        return len(self.latencies) / self.seconds

    def milliseconds(self, share: float) -> float:
        """The latency, in ms, that this share (0 to 1) of the calls does not exceed."""
        return percentile(self.latencies, share) * 1000


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the least value that `share` of all do not exceed.

    Raises ValueError when there are no values: a round without calls is no measurement.
    """
    if not values:
        raise ValueError("a round in which no call succeeded has no latencies")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
