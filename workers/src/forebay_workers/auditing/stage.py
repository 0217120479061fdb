"""The auditing stage: what the log tells of calls, line by line into a sink."""

from __future__ import annotations

from google.protobuf.message import Message

from forebay.records.v1 import AuditRecord, DocumentRecord, DocumentUpdate, QueryRecord, Stage
from forebay_workers.auditing.day_files import Sink
from forebay_workers.auditing.group_commit import GroupCommit
from forebay_workers.auditing.line import line_of
from forebay_workers.record_loop.stage import Retry, Work
from forebay_workers.stage_failure import Rules, judged

RULES: Rules = {OSError: Retry.UNTIL_BACK}  # a full disk loses nothing: the log waits


class Auditing:
    """Writes a line for every record; one is done when its line is safe."""

    stage = Stage.STAGE_AUDITING
    reads: tuple[type[Message], ...] = (AuditRecord, DocumentRecord, DocumentUpdate, QueryRecord)

    def __init__(self, sink: Sink) -> None:
        self._lines = GroupCommit(sink)

    async def process(self, work: Work[Message]) -> None:
        """Write the line of one record."""
        line = line_of(work)
        with judged(RULES):
            await self._lines.write(line)

    async def give_up(self, work: Work[Message], error: Exception) -> None:
        """Nobody waits for a line; its record lies in the dead letters."""

    async def take_over(self, partitions: frozenset[int]) -> None:
        """Nothing is kept by partition."""

    async def release(self, partitions: frozenset[int]) -> None:
        """Nothing is kept by partition."""
