"""A scenario's result: two medians, their ratio, and what one needs to trust them."""

from dataclasses import dataclass

from forebay_benchmarks.rounds import Rounds, Spread, spread
from forebay_benchmarks.samples import Sample


@dataclass(frozen=True)
class Goal:
    """Latencies, in ms, that the system should not exceed."""

    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Figure:
    """One line of the report. `unit` is `1/s`, where more is better; in `ms` and `KiB` less is."""

    unit: str
    rounds: Rounds
    floor_is: str
    system_is: str
    goal: Goal | None = None

    @property
    def floor(self) -> Spread:
        """The bare baseline."""
        return spread(self.rounds.floor, self._value)

    @property
    def system(self) -> Spread:
        """Forebay."""
        return spread(self.rounds.system, self._value)

    @property
    def ratio(self) -> float:
        """The system's figure as a multiple of the floor's."""
        return self.system.median / self.floor.median if self.floor.median else 0.0

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if self.goal is None:
            return None
        p50, p99 = (self.latency(self.rounds.system, share).median for share in (0.5, 0.99))
        return p50 <= self.goal.p50_ms and p99 <= self.goal.p99_ms

    def latency(self, samples: tuple[Sample, ...], share: float) -> Spread:
        """A percentile of each round, in ms, over the rounds."""
        return spread(samples, lambda sample: sample.milliseconds(share))

    @property
    def counts_calls(self) -> bool:
        """Whether there are latencies."""
        return self.unit != "KiB"

    def _value(self, sample: Sample) -> float:
        if not self.counts_calls:
            return sample.amount / 1024
        return sample.rate if self.unit == "1/s" else sample.milliseconds(0.5)
