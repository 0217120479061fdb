"""Notices an event loop that turns no more, and a process that stands still as a whole."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import sys
import threading
from pathlib import Path
from typing import Self

FROZEN_SECONDS = 60.0  # a suspended process may sleep that long and still go on
BLOCKED_SECONDS = 5.0  # heartbeats to the log's group and deadlines of callers are late by then
SHOWN_FRAMES = 8  # from the innermost outwards: who called it shows by then

log = logging.getLogger(__name__)


class BlockedLoopDetector:
    """A thread that asks the running event loop to answer, and watches how long it takes.

    `with BlockedLoopDetector(): …` in the loop's thread. It logs files and lines, no content. Where
    not even this thread runs any more, because something holds Python's lock for good, the process
    shows its stacks and ends: whoever supervises it starts another one.
    """

    def __init__(self, seconds: float = BLOCKED_SECONDS) -> None:
        self._seconds = seconds
        self._event_loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._answered = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="forebay-watch", daemon=True)

    def __enter__(self) -> Self:
        """Start to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Watch no more."""
        faulthandler.cancel_dump_traceback_later()
        self._closing.set()
        self._answered.set()

    def _watch(self) -> None:
        while not self._closing.wait(self._seconds):
            # Its thread is not Python's, and needs no lock.
            faulthandler.dump_traceback_later(FROZEN_SECONDS, exit=True, file=sys.stderr)
            self._answered.clear()
            try:
                self._event_loop.call_soon_threadsafe(self._answered.set)
            except RuntimeError:  # it is closed
                return
            if self._answered.wait(self._seconds) or self._closing.is_set():
                continue
            log.error("the event loop is blocked", extra={"where": _stack_of(self._watched)})
            self._answered.wait()


def _stack_of(thread: int) -> list[str]:
    lines: list[str] = []
    frame = sys._current_frames().get(thread)  # noqa: SLF001 the one way to ask
    while frame is not None and len(lines) < SHOWN_FRAMES:
        lines.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        frame = frame.f_back
    return lines
