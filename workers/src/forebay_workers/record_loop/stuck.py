"""Finds calls that go on after they were told to end."""

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from weakref import WeakSet

from forebay_workers.record_loop.errors import CallStuck
from forebay_workers.record_loop.run import Run
from forebay_workers.record_loop.settings import LoopSettings

log = logging.getLogger(__name__)


class StuckCalls:
    """Counts them, says once of each where it stands, and asks for a new process in the end."""

    def __init__(self, group: str, settings: LoopSettings) -> None:
        self.count = 0
        self._group = group
        self._settings = settings
        self._named: WeakSet[Run] = WeakSet()

    def review(self, runs: Iterable[Run]) -> None:
        """Look at all that run. Raises CallStuck."""
        now = asyncio.get_running_loop().time()
        late = [run for run in runs if run.call_ends is not None and now > run.call_ends]
        stuck = [run for run in late if now > (run.call_ends or 0) + self._settings.stuck_after]
        self.count = len(stuck)
        for run in stuck:
            self._name(run)
        if any(now > (run.call_ends or 0) + self._settings.stuck_limit for run in stuck):
            raise CallStuck

    def _name(self, run: Run) -> None:
        if run in self._named:
            return
        self._named.add(run)
        facts = {
            "group": self._group,
            "topic": run.source.topic,
            "partition": run.source.partition,
            "offset": run.source.offset,
            "where": where(run.task),
        }
        log.error("a call goes on although it was cancelled", extra=facts)


def where(task: asyncio.Task[None] | None) -> str:
    """Files and lines at which a task waits, from the outside in, as deep as coroutines tell."""
    places, awaited = [], task.get_coro() if task is not None else None
    while awaited is not None:
        places.append(_line(awaited))
        awaited = _first(awaited, "cr_await", "gi_yieldfrom", "ag_await")
    return " > ".join(filter(None, places))


def _line(awaited: object) -> str:
    frame: Any = _first(awaited, "cr_frame", "gi_frame", "ag_frame")
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame is not None else ""


def _first(awaited: object, *names: str) -> Any:  # noqa: ANN401 frames and awaitables of all kinds
    return next((v for name in names if (v := getattr(awaited, name, None)) is not None), None)
