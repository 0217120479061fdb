"""Where a reader stands in an answer, and which events lie behind it."""

from forebay.query.v1 import AnswerEvent

_SINGLE = frozenset({"accepted", "retrieved"})  # once per query, whatever becomes of attempts


class AnswerPosition:
    """Admits each event once, so that a resumed stream neither repeats nor skips.

    Cursors are opaque: what an event follows is told by its attempt and sequence where it has
    them, and otherwise by its kind or its cursor.
    """

    def __init__(self, cursor: str = "") -> None:
        self.cursor = cursor
        self._reached: dict[str, int] = {}
        self._seen = {cursor} if cursor else set[str]()

    def admit(self, event: AnswerEvent) -> bool:
        """Whether the event is new; a new one moves the position. A heartbeat never is."""
        kind = event.WhichOneof("event")
        if kind == "heartbeat" or (event.cursor and event.cursor == self.cursor):
            return False
        if event.sequence > 0:
            admitted = event.sequence > self._reached.get(event.attempt, 0)
            self._reached[event.attempt] = max(event.sequence, self._reached.get(event.attempt, 0))
        else:
            mark = kind if kind in _SINGLE else event.cursor
            admitted = not mark or mark not in self._seen
            self._seen.add(mark or "")
        if admitted:
            self.cursor = event.cursor or self.cursor
        return admitted
