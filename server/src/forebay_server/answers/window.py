"""The recent past of one partition of answers, kept in memory by query."""

from __future__ import annotations

from collections import deque

from forebay_kafka.records import Received

RECORD_OVERHEAD = 600  # bytes that a record takes beside its content: measured, half of a delta's


class PartitionWindow:
    """Records of a partition from `start` on, up to `position`, oldest dropped first.

    `start` and `position` are offsets: the first record that is kept, and the one that is read
    next. `since_ms` (milliseconds since 1970) is a time from which on nothing is missing, `size`
    the memory that the records take, in bytes.
    """

    def __init__(self, start: int, since_ms: int) -> None:
        self.start = start
        self.position = start
        self.since_ms = since_ms
        self.size = 0
        self._records: deque[Received] = deque()
        self._by_query: dict[bytes, deque[Received]] = {}

    def append(self, record: Received) -> None:
        """Take the next record of the partition in."""
        self.position = record.offset + 1
        if record.key is None:
            return
        self._records.append(record)
        self._by_query.setdefault(record.key, deque()).append(record)
        self.size += _size(record)

    def of(self, query: bytes) -> tuple[Received, ...]:
        """The kept records of a query, in the order of the log."""
        return tuple(self._by_query.get(query, ()))

    def drop_before(self, time_ms: int) -> None:
        """Forget what the log took before a time."""
        while self._records and self._records[0].timestamp_ms < time_ms:
            self.drop_oldest()
        self.since_ms = max(self.since_ms, time_ms)

    def drop_oldest(self) -> None:
        """Forget the oldest record, if there is one."""
        if not self._records:
            return
        oldest = self._records.popleft()
        self.start = oldest.offset + 1
        # Others may have been logged in the same millisecond.
        self.since_ms = max(self.since_ms, oldest.timestamp_ms + 1)
        self.size -= _size(oldest)
        of_query = self._by_query[oldest.key or b""]
        of_query.popleft()
        if not of_query:
            del self._by_query[oldest.key or b""]


def _size(record: Received) -> int:
    headers = sum(len(value) for _, value in record.headers)
    return RECORD_OVERHEAD + len(record.value or b"") + headers
