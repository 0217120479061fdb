"""The one reading of an answer's records: which of them count, and in which order.

Several attempts may write to one answer: a worker that was taken for dead, and its successor.
The attempt that was opened last in the order of the log is current, and its records count as
long as their sequence has no gap, its failure too. A failure that belongs to no attempt counts
only before the first one was opened: whoever was taken for dead and gives up later ends nothing
of its successor's. A cancellation counts always. The first terminal event that counts closes the
answer. Whoever folds the records of a query from its first one gets the same events.
"""

from __future__ import annotations

from forebay.query.v1 import AnswerEvent

TERMINAL = frozenset({"completed", "failed", "cancelled"})
OPENING = 1  # the sequence of the record that opens an attempt


class AnswerFold:
    """Folds the records of one query, given in the order of the log.

    `closed` says whether the answer has ended, `opened` holds the attempts so far. `expire_time`
    (seconds since 1970) is the latest deadline that the query was accepted with, 0 before: a call
    that is tried again may set a later one.
    """

    def __init__(self) -> None:
        self.closed = False
        self.attempt = ""
        self.opened: set[str] = set()
        self.expire_time = 0.0
        self._accepted = False
        self._sequence = 0

    def counts(self, event: AnswerEvent) -> bool:
        """Take the next record in; whether readers see it."""
        if self.closed:
            return False
        kind = event.WhichOneof("event")
        shown = self._take_attempt(event, kind) if event.attempt else self._take_common(event)
        self.closed = shown and kind in TERMINAL
        return shown

    def _take_common(self, event: AnswerEvent) -> bool:
        if event.HasField("accepted"):
            first, self._accepted = not self._accepted, True
            deadline = event.accepted.expire_time.ToNanoseconds() / 1e9
            self.expire_time = max(self.expire_time, deadline)
            return first
        return event.HasField("cancelled") or (event.HasField("failed") and not self.opened)

    def _take_attempt(self, event: AnswerEvent, kind: str | None) -> bool:
        if event.sequence == OPENING:
            return kind == "restarted" and self._open(event.attempt)
        if event.attempt != self.attempt or event.sequence != self._sequence + 1:
            return False
        self._sequence = event.sequence
        return True

    def _open(self, attempt: str) -> bool:
        if attempt in self.opened:
            return False
        self.opened.add(attempt)
        self.attempt, self._sequence = attempt, OPENING
        return len(self.opened) > 1
