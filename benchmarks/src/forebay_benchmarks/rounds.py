"""Rounds of floor and system in turn, so that both meet the same machine."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from forebay_benchmarks.samples import Sample

Measure = Callable[[float], Sample]
Value = Callable[[Sample], float]


@dataclass(frozen=True)
class Plan:
    """How many rounds each side has, and how many seconds a round and a warm-up take."""

    rounds: int
    seconds: float
    warm_up_seconds: float


QUICK = Plan(rounds=3, seconds=3.0, warm_up_seconds=1.5)  # all scenarios take about eight minutes
LONG = Plan(rounds=7, seconds=10.0, warm_up_seconds=5.0)


@dataclass(frozen=True)
class Spread:
    """The median over rounds, with the least and the greatest round."""

    median: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Rounds:
    """What both sides measured, round by round."""

    floor: tuple[Sample, ...]
    system: tuple[Sample, ...]

    @property
    def failures(self) -> int:
        """Calls of either side that failed."""
        return sum(sample.failures for sample in (*self.floor, *self.system))

    @property
    def failure(self) -> str:
        """What one of them said; empty when none failed."""
        return next((s.failure for s in (*self.floor, *self.system) if s.failure), "")


def alternate(floor: Measure, system: Measure, plan: Plan) -> Rounds:
    """Warm both sides up, which is not counted, and let them take turns."""
    floor(plan.warm_up_seconds)
    system(plan.warm_up_seconds)
    pairs = [(floor(plan.seconds), system(plan.seconds)) for _ in range(plan.rounds)]
    return Rounds(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))


def spread(samples: tuple[Sample, ...], value: Value) -> Spread:
    """One value of every round, summed up."""
    values = [value(sample) for sample in samples]
    return Spread(median(values), min(values), max(values))
