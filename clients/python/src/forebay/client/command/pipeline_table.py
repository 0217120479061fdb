"""A status of the pipeline as a table on a terminal, or as lines elsewhere."""

from rich.table import Table
from rich.text import Text

from forebay.client.command.terminal import one_line
from forebay.pipeline.v1 import PipelineStatus, StageStatus

_STYLES = {
    StageStatus.STATE_RUNNING: "green",
    StageStatus.STATE_THROTTLED: "yellow",
    StageStatus.STATE_ABSENT: "red",
    StageStatus.STATE_HALTED: "bold red",
}
_COLUMNS = (
    ("stage", 11),
    ("state", 9),
    ("workers", 7),
    ("lag", 7),
    ("rate/s", 7),
    ("oldest", 7),
    ("in flight", 9),
    ("retries", 7),
    ("pending", 7),
    ("dead letters", 12),
)  # each with the width of its usual contents: lines stay aligned while counts grow
_WORDS = 2  # columns in front that hold words, not numbers
_TIME_WIDTH = len("2026-01-31T12:00:00Z")
_AGES = ((86_400, "d"), (3_600, "h"), (60, "m"))  # seconds of each unit
_PRECISE = 10  # a rate below says its tenths


def drawn(status: PipelineStatus) -> Table:
    """The table, for a terminal."""
    table = Table(title=f"Pipeline at {_time(status)}")
    for number, (name, _) in enumerate(_COLUMNS):
        table.add_column(name, justify="left" if number < _WORDS else "right", no_wrap=True)
    for stage in status.stages:
        cells: list[str | Text] = list(_cells(stage))
        cells[1] = Text(_state(stage), style=_STYLES.get(stage.state, ""))
        if stage.dead_letters:
            cells[-1] = Text(str(stage.dead_letters), style="red")
        table.add_row(*cells)
    return table


def heading() -> str:
    """The names of the columns, above the lines."""
    names = [name.replace(" ", "-").upper() for name, _ in _COLUMNS]
    return f"{'TIME':<{_TIME_WIDTH}}  {_aligned(names)}"


def lines(status: PipelineStatus) -> list[str]:
    """A line for each stage, no cell of which has a space in it."""
    return [f"{_time(status)}  {_aligned(_cells(stage))}" for stage in status.stages]


def _aligned(cells: list[str]) -> str:
    padded = [
        cell.ljust(width) if number < _WORDS else cell.rjust(width)
        for number, (cell, (_, width)) in enumerate(zip(cells, _COLUMNS, strict=True))
    ]
    return "  ".join(padded)


def _cells(stage: StageStatus) -> list[str]:
    return [
        one_line(stage.stage),
        _state(stage),
        str(stage.workers),
        str(stage.lag),
        f"{stage.rate:.1f}" if stage.rate < _PRECISE else f"{stage.rate:.0f}",
        _age(stage.oldest_age.ToTimedelta().total_seconds())
        if stage.HasField("oldest_age")
        else "-",
        str(stage.in_flight),
        str(stage.retry_count),
        str(stage.pending_retries),
        str(stage.dead_letters),
    ]


def _state(stage: StageStatus) -> str:
    if stage.state in StageStatus.State.values():
        return StageStatus.State.Name(stage.state).removeprefix("STATE_")
    return str(stage.state)  # of a newer server


def _time(status: PipelineStatus) -> str:
    return status.time.ToDatetime().strftime("%Y-%m-%dT%H:%M:%SZ")


def _age(seconds: float) -> str:
    """Two units at most: 4.2s, 59s, 3m20s, 2h05m, 3d04h."""
    if seconds < _PRECISE:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for index, (size, unit) in enumerate(_AGES):
        if whole >= size:
            below, name = _AGES[index + 1] if index + 1 < len(_AGES) else (1, "s")
            return f"{whole // size}{unit}{whole % size // below:02d}{name}"
    return f"{whole}s"
