"""What of a query's answer reached its reader."""

from __future__ import annotations

from collections.abc import Iterable

from forebay.policy.v1 import Visibility
from forebay.query.v1 import AnswerEvent, Passage, Query
from forebay.records.v1 import AuditRecord
from forebay_kafka.answer_fold import TERMINAL

ENDS = {
    Query.STATE_COMPLETED: "completed",
    Query.STATE_FAILED: "failed",
    Query.STATE_CANCELLED: "cancelled",
}


class Disclosure:
    """Notes which passages a reader saw, or saw something that rests on them."""

    def __init__(self) -> None:
        self._after_offset: int | None = None
        self._events = 0
        self._end = ""
        # By document and ordinal: those of the current attempt, and those that were disclosed.
        self._used: dict[tuple[str, int], Visibility.ValueType] = {}
        self._seen: dict[tuple[str, int], Visibility.ValueType] = {}

    def resume(self, after_offset: int) -> None:
        """Note that the reader goes on behind an offset."""
        self._after_offset = after_offset

    def take(self, event: AnswerEvent) -> None:
        """Take in an event that counts, whether or not this reader is shown it."""
        kind = event.WhichOneof("event")
        if kind == "restarted":
            self._used = {}
        elif kind == "retrieved":
            self._used |= _keyed(event.retrieved.passages)

    def show(self, event: AnswerEvent) -> None:
        """Note that the reader is shown an event that was taken in."""
        self._events += 1
        kind = event.WhichOneof("event")
        if kind in TERMINAL:
            self._end = kind
        if self._used:
            self._seen |= self._used
            self._used = {}

    def show_whole(self, query: Query) -> None:
        """Note that the reader is shown a query as it stands."""
        self._end = ENDS.get(query.state, "")
        self._seen |= _keyed(query.passages)

    def message(self) -> AuditRecord.Delivery | None:
        """What there is to say; None where the reader got nothing."""
        if not self._events and not self._seen:
            return None
        return AuditRecord.Delivery(
            passages=[
                AuditRecord.Delivery.Passage(
                    document=document, ordinal=ordinal, visibility=visibility
                )
                for (document, ordinal), visibility in self._seen.items()
            ],
            after_offset=self._after_offset,
            events=self._events,
            end=self._end,
        )


def _keyed(passages: Iterable[Passage]) -> dict[tuple[str, int], Visibility.ValueType]:
    return {(each.document, each.ordinal): each.visibility for each in passages}
