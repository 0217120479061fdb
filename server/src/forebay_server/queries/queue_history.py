"""How long a worker's queue is, and how fast it moves: the arithmetic of admission.

A queue says nothing by its length alone. Records wait for a moment in every system that works,
and a burst of questions finishes late, and then all at once, without anything being wrong. So only
a queue that has lasted counts, by what is left of it, and its speed is the best that anything seen
allows: a question that is refused wrongly is worse than one that is accepted in vain.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

LASTING_SECONDS = 3.0  # three reports and three commits: what waits that long waits for a slot
RATE_SECONDS = 10.0  # what the speed of a stage is measured over
LONG_RATE_SECONDS = 60.0  # ... and of one that takes longer than that for a single record


@dataclass(frozen=True, slots=True)
class QueueSample:
    """A worker's queue at one moment; `time` is in seconds of any clock that never jumps.

    `queued` counts records that nobody works on yet, `finished` all since the worker began.
    """

    time: float
    queued: int
    in_flight: int
    finished: int
    partitions: frozenset[int]

    @property
    def started(self) -> int:
        """How many records were ever begun, as far as they still count."""
        return self.finished + self.in_flight


class QueueHistory:
    """The queue of one worker for as long as it was never empty."""

    def __init__(self) -> None:
        self._samples: deque[QueueSample] = deque()
        self._start_time = 0.0  # when a record was last seen to begin

    def add(self, sample: QueueSample) -> None:
        """Take the newest sample in."""
        previous = self._samples[-1] if self._samples else None
        if previous is None or previous.partitions != sample.partitions or not sample.queued:
            # An empty queue, and other partitions than before, make what was seen worthless.
            self._samples.clear()
        if previous is None or not self._samples or sample.started > previous.started:
            self._start_time = sample.time
        if sample.queued:
            self._samples.append(sample)
        while self._samples and self._samples[0].time < sample.time - LONG_RATE_SECONDS:
            self._samples.popleft()

    def expected_wait(self) -> float:
        """For how many seconds a record that comes now waits before it is begun."""
        if not self._samples:
            return 0.0
        last = self._samples[-1]
        lasting = self._since(LASTING_SECONDS)
        if last.time - lasting[0].time < LASTING_SECONDS:
            return 0.0
        queued = min(sample.queued for sample in lasting)
        stalled = last.time - self._start_time
        speed = self._speed()
        if stalled >= RATE_SECONDS:
            # Nothing moves: whatever comes now waits about as long as what has waited longest.
            return max(stalled, queued / speed if speed else 0.0)
        # A worker that has begun nothing yet takes its partitions over.
        return queued / speed if speed else 0.0

    def _speed(self) -> float:
        """Records that begin per second, as the most favourable reading has it."""
        last, busy = self._samples[-1], self._samples[-1].time - self._samples[0].time
        # With all slots taken, as many finish in the longest time that one of them can have been
        # at work (Little's law): this counts before the first of a burst has finished.
        speeds = [last.in_flight / busy]
        for seconds in (RATE_SECONDS, LONG_RATE_SECONDS):
            first = self._since(seconds)[0]
            speeds.append((last.started - first.started) / (last.time - first.time))
        return max(speeds)

    def _since(self, seconds: float) -> Sequence[QueueSample]:
        """The samples of the last seconds, and the one in front of them."""
        end = self._samples[-1].time
        samples = list(self._samples)
        begin = 0
        for index, sample in enumerate(samples):
            if sample.time <= end - seconds:
                begin = index
        return samples[begin:]
