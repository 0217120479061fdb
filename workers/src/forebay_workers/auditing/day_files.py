"""Lines of the audit in append-only files, one a day and worker."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Self, TypeAlias
from uuid import uuid4

from forebay_workers.auditing.line import AuditLine

Sink: TypeAlias = Callable[[Sequence[AuditLine]], None]
"""Keeps lines for good: once it returns they survive a crash. May block; raises OSError."""


class FolderMissing(ValueError):
    """Nobody says where the audit's files belong."""

    def __init__(self) -> None:
        super().__init__("FOREBAY_AUDIT_FOLDER: the stage `auditing` needs a folder")


class DayFiles:
    """A sink of files named `audit-2026-01-31-{id}.jsonl` by the day (UTC) of their lines.

    The id is new for every start and after every failure: no two processes append to one file,
    and what a failure tore is the last line of its file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._id = _new_id()

    @classmethod
    def within(cls, folder: Path | None) -> Self:
        """Make the folder, closed to others, or try that it can be written.

        Raises FolderMissing, OSError.
        """
        if folder is None:
            raise FolderMissing
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        return cls(folder)

    def __call__(self, lines: Sequence[AuditLine]) -> None:
        """Append lines, in their order within a day, and bring them to the disk."""
        try:
            for day, of_day in groupby(sorted(lines, key=attrgetter("day")), attrgetter("day")):
                text = "".join(f"{line.text}\n" for line in of_day)
                self._append(self._folder / f"audit-{day}-{self._id}.jsonl", text.encode())
        except OSError:
            self._id = _new_id()
            raise

    def _append(self, path: Path, data: bytes) -> None:
        is_new = not path.exists()
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            while data:
                data = data[os.write(file, data) :]
            os.fsync(file)
        finally:
            os.close(file)
        if is_new:
            _sync_folder(self._folder)


def _new_id() -> str:
    return uuid4().hex[:12]


def _sync_folder(folder: Path) -> None:
    # Without it a crash may forget the file together with its name.
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
