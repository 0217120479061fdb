"""One assignment of a partition: what was taken from it, and up to where it is done."""

from collections import deque

from forebay_kafka.group_membership import TopicPartition
from forebay_kafka.records import Received

RECORD_OVERHEAD = 512  # bytes that a record costs beside its content, so that small ones count


class HeldPartition:
    """A partition from its assignment to its end; a later assignment is another object.

    Records finish in any order, and only what is contiguously done may be committed: the oldest
    unfinished record holds the offset back.
    """

    def __init__(self, partition: TopicPartition) -> None:
        self.partition = partition
        self.taken_over = False
        self.leaving = False
        self.parked: deque[Received] = deque()  # until the stage has taken the partition over
        self.held_bytes = 0
        self.position = 0  # behind the last record that was taken
        self.committable: int | None = None
        self.committed: int | None = None
        self._span: deque[tuple[int, int]] = deque()  # offset and time, in the order of the log
        self._done: set[int] = set()  # offsets of the span that wait for an older one

    @property
    def span(self) -> int:
        """How many records were taken since the oldest unfinished one."""
        return len(self._span)

    @property
    def unfinished(self) -> int:
        """How many records were taken and are not done."""
        return len(self._span) - len(self._done)

    @property
    def oldest_ms(self) -> int | None:
        """The time in the log of the oldest unfinished record."""
        return self._span[0][1] if self._span else None

    def take(self, record: Received) -> None:
        """Note a record that was received; offsets ascend, with gaps where compaction was."""
        self._span.append((record.offset, record.timestamp_ms))
        self.position = record.offset + 1
        self.held_bytes += record_bytes(record)

    def finish(self, record: Received) -> None:
        """Note that a record is done, and move `committable` behind all that are so in a row."""
        self._done.add(record.offset)
        self.held_bytes -= record_bytes(record)
        while self._span and self._span[0][0] in self._done:
            oldest, _ = self._span.popleft()
            self._done.remove(oldest)
            self.committable = oldest + 1


def record_bytes(record: Received) -> int:
    """How much memory a record is counted for."""
    headers = sum(len(name) + len(value) for name, value in record.headers)
    return RECORD_OVERHEAD + len(record.key or b"") + len(record.value or b"") + headers
