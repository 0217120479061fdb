"""Sealed names of queries: `queries/{id}`.

An id is base32hex of 6 bytes of time (milliseconds since 1970), 16 bytes derived from request and
caller, and a 16-byte seal over both with the caller: 61 characters. The same call by the same
caller has the same name on every replica, and nobody else can make or use it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from uuid import UUID

from forebay.query.v1 import SubmitQueryRequest
from forebay_server.seals.encoding import decode, encode
from forebay_server.seals.secrets import SEAL_BYTES, Seals

PREFIX = "queries/"
TIME_BYTES = 6  # as in UUIDv7 (RFC 9562, section 5.7)
DERIVED_BYTES = 16
PURPOSE = "query-name"


@dataclass(frozen=True)
class Asker:
    """Whom a name belongs to; a new token of the same person changes nothing."""

    issuer: str
    tenant: str
    subject: str

    def parts(self) -> tuple[bytes, ...]:
        """What a seal covers."""
        return self.issuer.encode(), self.tenant.encode(), self.subject.encode()


class QueryNames:
    """Makes and opens the names of queries."""

    def __init__(self, seals: Seals) -> None:
        self._seals = seals

    def derive(self, asker: Asker, request_id: UUID, request: SubmitQueryRequest) -> str:
        """The name of a request as it was sent; its timeout does not matter."""
        time = request_id.bytes[:TIME_BYTES]
        fields = SubmitQueryRequest()
        fields.CopyFrom(request)
        fields.ClearField("timeout")
        fields.ClearField("request_id")
        derived = _digest(
            request_id.bytes, *asker.parts(), fields.SerializeToString(deterministic=True)
        )
        at = int.from_bytes(time, "big") / 1000
        seal = self._seals.seal(PURPOSE, time, derived, *asker.parts(), at=at)
        return PREFIX + encode(time + derived + seal)

    def opened(self, asker: Asker, name: str) -> int | None:
        """The time in a name, in milliseconds since 1970; None when it is not this asker's."""
        try:
            data = decode(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else b""
        except ValueError:
            return None
        if len(data) != TIME_BYTES + DERIVED_BYTES + SEAL_BYTES:
            return None
        time, derived = data[:TIME_BYTES], data[TIME_BYTES:-SEAL_BYTES]
        if not self._seals.holds(data[-SEAL_BYTES:], PURPOSE, time, derived, *asker.parts()):
            return None
        return int.from_bytes(time, "big")


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()[:DERIVED_BYTES]
