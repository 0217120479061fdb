"""What one round measures, and the arithmetic on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from forebay_benchmarks.errors import NoCalls


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one side: how long it took (seconds) and a latency (seconds) per call.

    A failed call has no latency; it counts in `failures`, and `failure` tells of one of them.
    `amount`, in bytes, is measured in place of calls where memory is.
    """

    seconds: float
    latencies: tuple[float, ...]
    failures: int = 0
    failure: str = ""
    amount: float = 0.0

    @property
    def rate(self) -> float:
        """Calls that succeeded, per second."""
        return len(self.latencies) / self.seconds

    def milliseconds(self, share: float) -> float:
        """The latency, in ms, that this share (0 to 1) of the calls does not exceed.

        Raises NoCalls.
        """
        if not self.latencies:
            raise NoCalls(self.failure)
        return percentile(self.latencies, share) * 1000


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the least value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
