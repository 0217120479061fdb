"""What one worker says of one of its stages, over the last seconds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from forebay.records.v1 import StageReport

RATE_SECONDS = 10.0  # long enough for a stage that takes seconds per record


@dataclass(frozen=True, slots=True)
class _Sample:
    time: float
    finished: int


class Member:
    """A worker as one of the members of a stage's group.

    `heard_at` is when its newest report came, in time.monotonic(): the clocks of workers may be
    wrong, and are compared with themselves alone.
    """

    def __init__(self, report: StageReport, heard_at: float) -> None:
        self.report = report
        self.heard_at = heard_at
        self._samples: deque[_Sample] = deque()
        self.hear(report, heard_at)

    def hear(self, report: StageReport, heard_at: float) -> None:
        """Take its newest report in."""
        self.report, self.heard_at = report, heard_at
        sample = _Sample(report.time.seconds + report.time.nanos / 1e9, report.finished)
        if self._samples and sample.time <= self._samples[-1].time:
            self._samples.clear()  # its clock was set back
        self._samples.append(sample)
        while self._samples[0].time < sample.time - RATE_SECONDS:
            self._samples.popleft()

    @property
    def rate(self) -> float:
        """How many records it finished per second, over the last ten."""
        first, last = self._samples[0], self._samples[-1]
        if last.time <= first.time:
            return 0.0
        return max(0, last.finished - first.finished) / (last.time - first.time)
