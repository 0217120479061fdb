"""Takes received records in: who they belong to, which lane they keep, whether they are proven."""

from collections.abc import Iterable
from typing import Any

from forebay.records.v1 import Topic
from forebay_kafka.errors import RecordInvalid
from forebay_kafka.records import Received, RecordReader
from forebay_kafka.topics import topic_named, topic_of
from forebay_workers.record_loop.clock import Clock
from forebay_workers.record_loop.counters import Counts
from forebay_workers.record_loop.partition import HeldPartition
from forebay_workers.record_loop.retry_topic import RETRIES, RetryTopic
from forebay_workers.record_loop.run import Run
from forebay_workers.record_loop.stage import EndsKeys, Stage


class Admission:
    """Makes runs of records.

    A document's key names tenant and document. It is believed for the order of starting alone:
    its proof is checked when the record starts, so that a backlog of one tenant is taken in at
    microseconds a record and hides nobody. A query's key tells nothing, so it is proven at once.
    """

    def __init__(
        self,
        stage: Stage[Any],
        reader: RecordReader,
        retries: RetryTopic | None,
        clock: Clock,
        counts: Counts,
        *,
        heeds_deadlines: bool,
    ) -> None:
        self._topics = {topic_of(record).name for record in stage.reads}
        self._ends_keys = isinstance(stage, EndsKeys)
        self._reader = reader
        self._retries = retries
        self._clock = clock
        self._counts = counts
        self._heeds_deadlines = heeds_deadlines

    def admit(self, held: HeldPartition, taken: Received) -> tuple[Run | None, float]:
        """Make a run, and say after how many seconds; None where there is nothing to do."""
        run, wait = Run(held, taken, taken), 0.0
        if taken.topic == RETRIES:
            if self._retries is None or not self._retries.concerns(taken):
                self._counts.passed_over += 1
                return None, 0.0
            wait = self._open(run, self._retries)
        return (run, wait) if self._classify(run) else (None, 0.0)

    def prove(self, run: Run) -> None:
        """Verify a record, unless that was done; where it is poison, `run.error` says why."""
        if run.record is not None or run.error is not None or run.ended is not None:
            return
        try:
            record = run.record = self._reader.read(run.source)
        except Exception as error:  # noqa: BLE001 poison never stops a partition
            run.error = error
            return
        expire_time = record.envelope.statement.expire_time
        if expire_time is not None and self._heeds_deadlines:
            run.deadline = self._clock.now() + expire_time - self._clock.wall_time()

    def _open(self, run: Run, retries: RetryTopic) -> float:
        """Put the record that a retry holds in its place; the seconds until it is due."""
        try:
            put_off = retries.read(run.taken)
        except RecordInvalid as error:
            run.error = error
            return 0.0
        if put_off.source.topic not in self._topics:
            run.error = RecordInvalid("the retry is of a topic that the stage does not read")
            return 0.0
        run.source, run.attempt, run.round = put_off.source, put_off.attempts, put_off.round
        return max(0.0, put_off.not_before - self._clock.wall_time())

    def _classify(self, run: Run) -> bool:
        """Find a record's lane and turn; whether there is something to do."""
        source = run.source
        run.lane = f"{source.topic}/{source.partition}/{source.offset}"
        if run.error is not None:
            return True
        spec, key = topic_named(source.topic), (source.key or b"").decode(errors="replace")
        if source.value is None and spec.compacted:
            if not key or not self._ends_keys:
                self._counts.tombstones += 1
                return False
            run.ended = key
        if key:
            # Versions decide between topics: a deletion need not wait for what it deletes.
            run.lane = f"{source.topic}/{_resource_of(key)}"
        if spec.family == Topic.FAMILY_DOCUMENTS:
            tenant = key.partition("/")[0]
        else:
            self.prove(run)
            tenant = run.record.envelope.identity.tenant if run.record else ""
        run.turn = f"{tenant} {source.topic}"
        return True


def _resource_of(key: str) -> str:
    """The document that a key names a version of, or the query that it is."""
    return key.rpartition("@")[0] or key


def soonest(runs: Iterable[Run]) -> float:
    """The first deadline of several records; infinity where none has one."""
    return min((run.deadline for run in runs if run.deadline is not None), default=float("inf"))
