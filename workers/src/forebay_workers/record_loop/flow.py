"""Backpressure: which partitions are fetched just now."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from forebay_kafka.group_membership import TopicPartition
from forebay_workers.record_loop.partition import HeldPartition
from forebay_workers.record_loop.settings import LoopSettings
from forebay_workers.record_loop.source import RecordSource


class Flow:
    """Pauses a partition over its bound and resumes it below half of that.

    The distance between the two matters: pausing throws away what was fetched ahead. All
    partitions of a topic pause while too many bytes of it are held: retries wait for minutes, and
    deletions come in however many documents wait. All pause while the stage halts, and for good
    once it stops.
    """

    def __init__(self, source: RecordSource, settings: LoopSettings) -> None:
        self._source = source
        self._settings = settings
        self._partitions: dict[TopicPartition, HeldPartition] = {}
        self._wide: set[TopicPartition] = set()  # over the bound of uncommitted records
        self._paused: set[TopicPartition] = set()
        self._full: set[str] = set()  # topics of which too many bytes are held
        self._halts = 0
        self._stopped = False

    @property
    def halted(self) -> bool:
        """Whether no further record may start."""
        return self._halts > 0 or self._stopped

    def watch(self, held: HeldPartition) -> None:
        """Begin to look after a partition."""
        self._partitions[held.partition] = held
        self._apply([held.partition])

    def forget(self, held: HeldPartition) -> None:
        """Stop looking after a partition that is gone."""
        del self._partitions[held.partition]
        self._wide.discard(held.partition)
        self._paused.discard(held.partition)
        self._review_bytes()

    def review(self, held: HeldPartition) -> None:
        """Decide again after records of a partition were taken or finished."""
        name = held.partition
        limit = self._settings.max_uncommitted_records
        if _over(held.span, limit, was_over=name in self._wide):
            self._wide.add(name)
        else:
            self._wide.discard(name)
        self._review_bytes()
        self._apply([name])

    @contextmanager
    def halt(self) -> Iterator[None]:
        """Fetch nothing and start nothing meanwhile; may be entered several times at once."""
        self._halts += 1
        self._apply(self._partitions)
        try:
            yield
        finally:
            self._halts -= 1
            self._apply(self._partitions)

    def stop(self) -> None:
        """Fetch nothing and start nothing any more."""
        self._stopped = True
        self._apply(self._partitions)

    def _review_bytes(self) -> None:
        held: Counter[str] = Counter()
        for name, partition in self._partitions.items():
            held[name.topic] += partition.held_bytes
        limit, before = self._settings.max_held_bytes, self._full
        self._full = {t for t, size in held.items() if _over(size, limit, was_over=t in before)}
        if self._full != before:
            self._apply(self._partitions)

    def _apply(self, names: Iterable[TopicPartition]) -> None:
        wanted = {name for name in names if self._pauses(name)}
        if new := wanted - self._paused:
            self._paused |= new
            self._source.pause(new)
        if over := (set(names) - wanted) & self._paused:
            self._paused -= over
            self._source.resume(over)

    def _pauses(self, name: TopicPartition) -> bool:
        return self.halted or name in self._wide or name.topic in self._full


def _over(value: int, limit: int, *, was_over: bool) -> bool:
    return value > (limit // 2 if was_over else limit)
