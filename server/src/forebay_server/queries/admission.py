"""Whether a question's timeout can be met at today's lag (promise G10)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from forebay.query.v1 import SubmitQueryRequest
from forebay.records.v1 import Stage, StageReport
from forebay_kafka.group_lag import LagSnapshot, PartitionLag
from forebay_kafka.group_membership import TopicPartition
from forebay_kafka.partitioning import partition_for
from forebay_server.pipeline.stages import BY_STAGE
from forebay_server.queries.queue_history import LASTING_SECONDS, QueueHistory, QueueSample

FRESH_SECONDS = 5.0  # numbers that are older say nothing about now
# A worker that is killed is missed after its session timeout of 6 s; another one then takes over
# and reports. Until then its partitions are nobody's, and nothing is wrong.
TAKEOVER_SECONDS = 12.0
# A report travels for milliseconds: an end that was known a second before it came was known when
# it was written, and what came behind that end is not counted as waiting.
REPORT_SECONDS = 1.0
SNAPSHOTS = 8  # of one a second
# In the order in which a question meets them.
RETRIEVED = (Stage.STAGE_RETRIEVAL,)
GENERATED = (*RETRIEVED, Stage.STAGE_GENERATION)


@dataclass
class _Worker:
    heard_at: float = 0.0
    partitions: frozenset[int] = frozenset()
    queue: QueueHistory = field(default_factory=QueueHistory)
    expected_wait: float = 0.0


@dataclass(frozen=True)
class _Unowned:
    """A partition that no worker reports, since when, and since when nothing was committed."""

    since: float
    committed: int
    unmoved_since: float


class StageQueue:
    """What is known of the queue of one stage that answers questions."""

    def __init__(self, stage: Stage.ValueType) -> None:
        self._group = BY_STAGE[stage].group
        (self._topic,) = BY_STAGE[stage].topics
        self._workers: dict[str, _Worker] = {}
        self._unowned: dict[int, _Unowned] = {}
        self._lags: list[tuple[float, Mapping[TopicPartition, PartitionLag]]] = []

    def heard(self, report: StageReport, now: float) -> None:
        """Take a worker's report in."""
        if report.state == StageReport.STATE_LEAVING:
            self._workers.pop(report.member, None)
            return
        worker = self._workers.setdefault(report.member, _Worker())
        own = [each for each in report.partitions if each.topic == self._topic]
        worker.heard_at = now
        worker.partitions = frozenset(each.partition for each in own)
        sample = QueueSample(
            time=now,
            queued=sum(self._queued(each, now) for each in own),
            in_flight=sum(each.in_flight for each in own),
            finished=report.finished,
            partitions=worker.partitions,
        )
        worker.queue.add(sample)
        worker.expected_wait = worker.queue.expected_wait()

    def measured(self, snapshot: LagSnapshot) -> None:
        """Take the lag of its group in."""
        now, partitions = snapshot.taken_at, snapshot.groups[self._group]
        self._lags = [*self._lags[1 - SNAPSHOTS :], (now, partitions)]
        owned = {each for worker in self._present(now) for each in worker.partitions}
        for place, lag in partitions.items():
            if place.topic == self._topic:
                self._review(place.partition, lag, now, is_owned=place.partition in owned)

    def expected_wait(self, partition: int, now: float) -> float:
        """How long a record that comes now waits, in seconds; 0 where that is not known."""
        holders = [each for each in self._present(now) if partition in each.partitions]
        if holders:
            return max(holders, key=lambda each: each.heard_at).expected_wait
        unowned = self._unowned.get(partition)
        if unowned is None or now - unowned.since < TAKEOVER_SECONDS or not self._lags:
            return 0.0
        taken_at, partitions = self._lags[-1]
        before = self._known_at(now - LASTING_SECONDS)
        place = TopicPartition(self._topic, partition)
        if before is None or now - taken_at > FRESH_SECONDS:
            return 0.0
        # What was there some seconds ago and is not committed now: commits come once a second.
        if before[place].end <= partitions[place].committed:
            return 0.0
        return now - unowned.unmoved_since

    def _present(self, now: float) -> list[_Worker]:
        gone = [name for name, w in self._workers.items() if w.heard_at < now - FRESH_SECONDS]
        for name in gone:
            del self._workers[name]
        return list(self._workers.values())

    def _review(self, partition: int, lag: PartitionLag, now: float, *, is_owned: bool) -> None:
        known = self._unowned.get(partition)
        if is_owned:
            self._unowned.pop(partition, None)
        elif known is None:
            self._unowned[partition] = _Unowned(now, lag.committed, now)
        elif known.committed != lag.committed or not lag.records:
            self._unowned[partition] = _Unowned(known.since, lag.committed, now)

    def _queued(self, partition: StageReport.Partition, now: float) -> int:
        """Records of a partition that nobody works on; those that came last are left out."""
        known = self._known_at(now - REPORT_SECONDS)
        if known is None:
            return 0
        lag = known.get(TopicPartition(partition.topic, partition.partition))
        if lag is None:
            return 0
        # Before a worker has fetched anything, it stands where its group stands.
        return max(0, lag.end - max(partition.position, lag.committed)) + partition.waiting

    def _known_at(self, moment: float) -> Mapping[TopicPartition, PartitionLag] | None:
        for taken_at, partitions in reversed(self._lags):
            if taken_at <= moment:
                return partitions if moment - taken_at < FRESH_SECONDS else None
        return None


class Admission:
    """Tells how long a question would wait; looks at numbers in memory and at nothing else.

    Where numbers are missing or old, nothing is known to be wrong, and the wait is 0.
    """

    def __init__(self, partition_count: int) -> None:
        self._count = partition_count
        self._queues: dict[int, StageQueue] = {stage: StageQueue(stage) for stage in GENERATED}

    def heard(self, report: StageReport, now: float) -> None:
        """Take the report of any stage in; `now` is in time.monotonic()."""
        queue = self._queues.get(report.stage)
        if queue is not None:
            queue.heard(report, now)

    def measured(self, snapshot: LagSnapshot) -> None:
        """Take the lag of all groups in."""
        for queue in self._queues.values():
            queue.measured(snapshot)

    def expected_wait(self, name: str, mode: SubmitQueryRequest.Mode.ValueType) -> float:
        """How long a query would wait for all of its stages, in seconds."""
        now = time.monotonic()
        # Queries and their contexts have one partition count and one partitioner.
        partition = partition_for(name, self._count)
        stages = RETRIEVED if mode == SubmitQueryRequest.MODE_RETRIEVE_ONLY else GENERATED
        return sum(self._queues[stage].expected_wait(partition, now) for stage in stages)
