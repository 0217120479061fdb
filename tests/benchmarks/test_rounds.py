import pytest

from forebay_benchmarks.errors import NoCalls
from forebay_benchmarks.figures import Figure, Goal
from forebay_benchmarks.report import as_json, as_table
from forebay_benchmarks.rounds import Plan, Rounds, alternate
from forebay_benchmarks.samples import Sample, percentile


def test_the_sides_take_turns_and_the_warm_up_is_not_counted() -> None:
    turns: list[tuple[str, float]] = []

    def side(name: str) -> Sample:
        return Sample(1.0, (float(len(turns)),), failure=name)

    def floor(seconds: float) -> Sample:
        turns.append(("floor", seconds))
        return side("floor")

    def system(seconds: float) -> Sample:
        turns.append(("system", seconds))
        return side("system")

    rounds = alternate(floor, system, Plan(rounds=2, seconds=3.0, warm_up_seconds=1.0))

    assert turns == [("floor", 1.0), ("system", 1.0), *[("floor", 3.0), ("system", 3.0)] * 2]
    assert [sample.latencies for sample in rounds.floor] == [(3.0,), (5.0,)]
    assert [sample.latencies for sample in rounds.system] == [(4.0,), (6.0,)]


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_one_of_the_values_measured(share: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), share) == expected


def test_a_round_without_a_successful_call_is_no_measurement() -> None:
    with pytest.raises(NoCalls, match="refused"):
        Sample(1.0, (), failures=4, failure="refused").milliseconds(0.5)


def rounds_of(floor: list[int], system: list[int]) -> Rounds:
    """Rounds of a second with so many calls each, 10 ms long."""
    return Rounds(
        tuple(Sample(1.0, (0.01,) * calls) for calls in floor),
        tuple(Sample(1.0, (0.01,) * calls) for calls in system),
    )


def test_rates_are_medians_with_the_extreme_rounds_beside_them() -> None:
    report = as_json(Figure("1/s", rounds_of([300, 100, 200], [50, 60, 10]), "bare", "whole"))

    assert (report["floor"], report["system"], report["ratio"]) == (200.0, 50.0, 0.25)
    assert report["spread"] == {"floor": [100, 300], "system": [10, 60]}
    assert report["p50_ms"] == {"floor": 10.0, "system": 10.0}
    assert (report["rounds"], report["failures"], report["unit"]) == (3, 0, "1/s")
    assert "goal" not in report


def test_latencies_are_compared_with_their_goal() -> None:
    rounds = rounds_of([2, 2], [2, 2])
    met = Figure("ms", rounds, "bare", "whole", Goal(p50_ms=10.0, p99_ms=60.0))
    missed = Figure("ms", rounds, "bare", "whole", Goal(p50_ms=10.0, p99_ms=9.0))

    assert as_json(met)["goal"] == {"p50_ms": 10.0, "p99_ms": 60.0, "met": True}
    assert as_json(missed)["goal"] == {"p50_ms": 10.0, "p99_ms": 9.0, "met": False}
    assert "missed" in as_table({"late": missed})


def test_failures_of_either_side_show_in_the_report() -> None:
    good, bad = Sample(1.0, (0.01,)), Sample(1.0, (0.01,), failures=2, failure="unavailable")
    rounds = Rounds((good, bad), (good, good))

    assert as_json(Figure("ms", rounds, "bare", "whole"))["failures"] == 2
    assert rounds.failure == "unavailable"
