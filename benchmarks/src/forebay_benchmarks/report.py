"""Figures as JSON and as a table."""

from collections.abc import Mapping

from forebay_benchmarks.figures import Figure
from forebay_benchmarks.rounds import Spread

_COLUMNS = ("scenario", "unit", "floor", "system", "ratio", "p50 ms", "p99 ms", "goal")


def as_json(figure: Figure) -> dict[str, object]:
    """One scenario: medians over the rounds, `[least, greatest]` round as spread."""
    both = {"floor": figure.rounds.floor, "system": figure.rounds.system}
    report: dict[str, object] = {
        "floor": round(figure.floor.median, 2),
        "system": round(figure.system.median, 2),
        "ratio": round(figure.ratio, 3),
        "unit": figure.unit,
        "spread": {"floor": _ends(figure.floor), "system": _ends(figure.system)},
        "rounds": len(figure.rounds.system),
        "failures": figure.rounds.failures,
        "floor_is": figure.floor_is,
        "system_is": figure.system_is,
    }
    for share, name in ((0.5, "p50_ms"), (0.99, "p99_ms")) if figure.counts_calls else ():
        report[name] = {
            side: round(figure.latency(samples, share).median, 2) for side, samples in both.items()
        }
    if figure.goal is not None:
        goal = {"p50_ms": figure.goal.p50_ms, "p99_ms": figure.goal.p99_ms}
        report["goal"] = {**goal, "met": figure.met}
    return report


def as_table(figures: Mapping[str, Figure]) -> str:
    """All scenarios, a line each, and below it what floor and system are."""
    rows = [_COLUMNS, *(_row(name, figure) for name, figure in figures.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    notes = [
        f"{name}\n  floor:  {figure.floor_is}\n  system: {figure.system_is}"
        for name, figure in figures.items()
    ]
    return "\n".join([*lines, "", *notes])


def _row(name: str, figure: Figure) -> tuple[str, ...]:
    return (
        name,
        figure.unit,
        _with_ends(figure.floor),
        _with_ends(figure.system),
        f"{figure.ratio:.2f}",
        _beside(figure, 0.5),
        _beside(figure, 0.99),
        {None: "", True: "met", False: "missed"}[figure.met],
    )


def _with_ends(value: Spread) -> str:
    return f"{value.median:.1f} ({value.least:.1f} to {value.greatest:.1f})"


def _beside(figure: Figure, share: float) -> str:
    if not figure.counts_calls:
        return ""
    floor = figure.latency(figure.rounds.floor, share).median
    system = figure.latency(figure.rounds.system, share).median
    return f"{floor:.1f} | {system:.1f}"


def _ends(value: Spread) -> list[float]:
    return [round(value.least, 2), round(value.greatest, 2)]
