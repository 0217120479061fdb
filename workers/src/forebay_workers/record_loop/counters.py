"""What a record loop has done and has at hand."""

from dataclasses import dataclass
from enum import Enum, auto

from forebay_kafka.group_membership import TopicPartition


@dataclass(slots=True)
class Counts:
    """What happened to records since the loop began; the loop counts here."""

    consumed: int = 0
    processed: int = 0
    retried: int = 0
    expired: int = 0
    put_off: int = 0
    dead_lettered: int = 0
    tombstones: int = 0
    passed_over: int = 0

    @property
    def finished(self) -> int:
        """Records that are done with, in whatever way."""
        ended = self.processed + self.expired + self.put_off + self.dead_lettered
        return ended + self.tombstones + self.passed_over


class LoopState(Enum):
    """What a loop does just now."""

    RUNNING = auto()
    HALTED = auto()
    """Most of its records failed, or it cannot write what it gave up."""
    THROTTLED = auto()
    LEAVING = auto()


@dataclass(frozen=True, slots=True)
class PartitionSnapshot:
    """A partition that the member holds.

    `position` is the offset behind the last record that was fetched, 0 where none was yet.
    `oldest_ms` is the time in the log of the oldest unfinished record, in milliseconds since 1970.
    """

    name: TopicPartition
    position: int
    waiting: int
    in_flight: int
    oldest_ms: int | None


@dataclass(frozen=True, slots=True)
class LoopSnapshot:
    """One moment of a loop.

    `counts.consumed` = `counts.finished` + what is at hand or was dropped with a partition.
    `uncommitted` is the sum of the partitions' spans; `stuck` counts calls that go on although
    they were cancelled. `time` counts seconds since 1970 by the loop's clock.
    """

    time: float
    counts: Counts
    state: LoopState
    in_flight: int
    waiting: int
    stuck: int
    uncommitted: int
    held_bytes: int
    partitions: tuple[PartitionSnapshot, ...]
