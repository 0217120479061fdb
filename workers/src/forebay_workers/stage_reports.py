"""What a worker says of its stages, to the log: once a second, and a last time when it leaves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from uuid import uuid4

from google.protobuf.timestamp_pb2 import Timestamp

from forebay.records.v1 import Stage, StageReport
from forebay_kafka.errors import KafkaError
from forebay_kafka.stages import stage_word
from forebay_workers.record_loop.counters import LoopState, PartitionSnapshot
from forebay_workers.record_loop.dead_letters import RecordPublisher
from forebay_workers.record_loop.loop import RecordLoop

REPORT_SECONDS = 1.0  # what an operator watches moves about as often
LAST_REPORT_SECONDS = 2.0  # a process that leaves does not wait for a log that is away

STATES = {
    LoopState.RUNNING: StageReport.STATE_RUNNING,
    LoopState.HALTED: StageReport.STATE_HALTED,
    LoopState.THROTTLED: StageReport.STATE_THROTTLED,
    LoopState.LEAVING: StageReport.STATE_LEAVING,
}

log = logging.getLogger(__name__)


class StageReports:
    """Writes the reports of one process; a failure is logged once and disturbs nothing.

    `member` is the name of this process in its reports.
    """

    def __init__(
        self,
        publisher: RecordPublisher,
        loops: Sequence[RecordLoop],
    ) -> None:
        self.member = uuid4().hex
        self._publisher = publisher
        self._loops = loops
        self._failing = False

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            await self._write([self._report(loop) for loop in self._loops])
            await asyncio.sleep(REPORT_SECONDS)

    async def leave(self) -> None:
        """Say that the stages leave."""
        reports = [self._report(loop) for loop in self._loops]
        for report in reports:
            report.state = StageReport.STATE_LEAVING
        try:
            async with asyncio.timeout(LAST_REPORT_SECONDS):
                await self._write(reports)
        except TimeoutError:
            log.info("the log did not take the last reports of this worker's stages")

    async def _write(self, reports: Sequence[StageReport]) -> None:
        writing = (
            self._publisher.publish(report, key=self._key(report), identity_token=b"")
            for report in reports
        )
        results = await asyncio.gather(*writing, return_exceptions=True)
        failed = next((each for each in results if isinstance(each, Exception)), None)
        if failed is not None and not self._failing:
            why = str(failed) if isinstance(failed, KafkaError) else type(failed).__name__
            log.warning("the stages work, but cannot report how they are: %s", why)
        self._failing = failed is not None

    def _key(self, report: StageReport) -> str:
        return f"{stage_word(report.stage)}/{self.member}"

    def _report(self, loop: RecordLoop) -> StageReport:
        now = loop.snapshot()
        return StageReport(
            stage=Stage.ValueType(loop.stage),
            group=loop.group,
            member=self.member,
            time=_timestamp(int(now.time * 1000)),
            state=STATES[now.state],
            partitions=[_partition(each) for each in now.partitions],
            finished=now.counts.finished,
            retried=now.counts.retried,
            put_off=now.counts.put_off,
            dead_lettered=now.counts.dead_lettered,
            stuck=now.stuck,
        )


def _partition(held: PartitionSnapshot) -> StageReport.Partition:
    return StageReport.Partition(
        topic=held.name.topic,
        partition=held.name.partition,
        position=held.position,
        waiting=held.waiting,
        in_flight=held.in_flight,
        oldest_time=None if held.oldest_ms is None else _timestamp(held.oldest_ms),
    )


def _timestamp(milliseconds: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(milliseconds)
    return time
