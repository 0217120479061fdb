"""Sealed cursors: where in the log a reader of a query stands."""

from __future__ import annotations

from forebay_server.answers.errors import CursorInvalid
from forebay_server.seals.encoding import decode, encode
from forebay_server.seals.secrets import SEAL_BYTES, Seals

OFFSET_BYTES = 8
PURPOSE = "cursor"


class Cursors:
    """Makes and opens cursors; each is good for one query."""

    def __init__(self, seals: Seals) -> None:
        self._seals = seals

    def at(self, name: str, offset: int) -> str:
        """The cursor of the event at an offset of the query's partition."""
        position = offset.to_bytes(OFFSET_BYTES, "big")
        return encode(position + self._seals.seal(PURPOSE, position, name.encode()))

    def offset(self, name: str, cursor: str) -> int:
        """The offset of the event that a cursor stands at. Raises CursorInvalid."""
        try:
            data = decode(cursor)
        except ValueError:
            raise CursorInvalid from None
        position, seal = data[:OFFSET_BYTES], data[OFFSET_BYTES:]
        if len(seal) != SEAL_BYTES or not self._seals.holds(seal, PURPOSE, position, name.encode()):
            raise CursorInvalid
        return int.from_bytes(position, "big")
