"""The table that faults end with: what was broken, what is promised, and what was seen."""

import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic

DEFAULT_SEED = 20261123


def seed() -> int:
    """The seed of everything random here, from FAULTS_SEED."""
    return int(os.environ.get("FAULTS_SEED", DEFAULT_SEED))


def dice(name: str) -> random.Random:
    """Dice of a test's own, the same in every run with one seed."""
    return random.Random(f"{seed()}/{name}")  # noqa: S311 repeatable, not secret


@dataclass
class Row:
    """One fault. `seen` grows while it is looked at."""

    fault: str
    promise: str
    expected: str
    seen: list[str] = field(default_factory=list)
    held: bool = False
    seconds: float = 0.0

    def saw(self, *facts: str) -> None:
        self.seen.extend(facts)


class FaultTable:
    """The rows of one run, in the order in which they were looked at."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    @contextmanager
    def fault(self, fault: str, promise: str, expected: str) -> Iterator[Row]:
        """A row; it holds where the block ends without an exception."""
        row = Row(fault, promise, expected)
        self.rows.append(row)
        began = monotonic()
        try:
            yield row
        except BaseException as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            row.saw(f"NOT HELD: {first[:200]}")
            raise
        else:
            row.held = True
        finally:
            row.seconds = round(monotonic() - began, 1)

    def lines(self) -> Iterator[str]:
        """The table as text."""
        for row in self.rows:
            mark = "held" if row.held else "BROKEN"
            yield f"{row.fault} | {row.promise} | {row.expected} | {'; '.join(row.seen)} | {mark}"

    def write(self, path: Path) -> None:
        """The table as JSON."""
        rows = [asdict(row) for row in self.rows]
        path.write_text(json.dumps({"seed": seed(), "faults": rows}, indent=2) + "\n")
