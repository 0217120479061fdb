"""Sealed page tokens (AIP-158) of the list of dead letters."""

from __future__ import annotations

import struct

from forebay.pipeline.v1 import DeadLetterFilter
from forebay_server.errors import PageTokenInvalid
from forebay_server.pipeline.letters import LetterPlace
from forebay_server.seals.encoding import decode, encode
from forebay_server.seals.secrets import SEAL_BYTES, Seals

PURPOSE = "dead-letter-page"
PLACE = struct.Struct(">qiq")


class LetterPages:
    """Makes and opens page tokens; each is good for one filter."""

    def __init__(self, seals: Seals) -> None:
        self._seals = seals

    def behind(self, wanted: DeadLetterFilter, place: LetterPlace) -> str:
        """The token of the page that begins behind a letter."""
        last = PLACE.pack(*place)
        return encode(last + self._seals.seal(PURPOSE, last, _bytes(wanted)))

    def place(self, wanted: DeadLetterFilter, token: str) -> LetterPlace | None:
        """The letter behind which the page begins; None for no token. Raises PageTokenInvalid."""
        if not token:
            return None
        try:
            data = decode(token)
        except ValueError:
            raise PageTokenInvalid from None
        last, seal = data[: PLACE.size], data[PLACE.size :]
        if len(seal) != SEAL_BYTES or not self._seals.holds(seal, PURPOSE, last, _bytes(wanted)):
            raise PageTokenInvalid
        return LetterPlace(*PLACE.unpack(last))


def _bytes(wanted: DeadLetterFilter) -> bytes:
    return wanted.SerializeToString(deterministic=True)
