"""What the workers say of their stages: the newest report of each, read from the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Self

from google.protobuf.message import DecodeError

from forebay.records.v1 import Stage, StageReport
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.tail import LogTail
from forebay_kafka.topics import topic_of
from forebay_server.pipeline.members import Member

SILENCE_SECONDS = 5.0  # workers report every second; one that missed five is gone or hangs
BEGIN_SECONDS = 3.0  # so that a process that has just started knows every worker at once
RETRY_SECONDS = 1.0
# Nobody waits for a report: the thread then sleeps in its fetch instead of asking ever again.
FETCH_WAIT_MS = 500

log = logging.getLogger(__name__)

OnReport = Callable[[StageReport, float], None]
"""Gets a report and when it came, in time.monotonic()."""


class StageReports:
    """Follows the reports; `async with StageReports(…) as reports`.

    The log may come later: until then nobody has reported.
    """

    def __init__(self, settings: KafkaSettings, publisher: Publisher, on_report: OnReport) -> None:
        self._publisher = publisher
        self._on_report = on_report
        self._tail = LogTail(
            settings, topic_of(StageReport), self._take, fetch_wait_ms=FETCH_WAIT_MS
        )
        self._members: dict[tuple[Stage.ValueType, str], Member] = {}

    async def __aenter__(self) -> Self:
        """Start reading."""
        await self._tail.__aenter__()
        self._beginning = asyncio.create_task(self._begin())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop reading."""
        self._beginning.cancel()
        await self._tail.__aexit__()

    def members(self, stage: Stage.ValueType) -> list[Member]:
        """The workers of a stage that reported within the last seconds."""
        silent = time.monotonic() - SILENCE_SECONDS
        for key in [key for key, member in self._members.items() if member.heard_at < silent]:
            del self._members[key]
        return [member for (of, _), member in self._members.items() if of == stage]

    async def _begin(self) -> None:
        followed: set[int] = set()
        while True:
            try:
                count = await self._publisher.partition_count(StageReport)
                for partition in set(range(count)) - followed:
                    since_ms = int((time.time() - BEGIN_SECONDS) * 1000)
                    self._tail.follow(partition, await self._tail.offset_at(partition, since_ms))
                    followed.add(partition)
            except LogUnavailable as error:
                log.warning("waiting for the reports of stages: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    def _take(self, records: Sequence[Received]) -> None:
        now = time.monotonic()
        for record in records:
            try:
                report = StageReport.FromString(record.value or b"")
            except DecodeError:
                log.warning("no report at %d/%d", record.partition, record.offset)
                continue
            self._hear(report, now)

    def _hear(self, report: StageReport, now: float) -> None:
        key = (report.stage, report.member)
        self._on_report(report, now)
        if report.state == StageReport.STATE_LEAVING:
            self._members.pop(key, None)
        elif key in self._members:
            self._members[key].hear(report, now)
        else:
            self._members[key] = Member(report, now)
