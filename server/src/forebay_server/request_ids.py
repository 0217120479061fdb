"""Request ids: UUIDv7 (RFC 9562) of now, so that their order is the order of versions."""

from __future__ import annotations

import secrets
from uuid import UUID

from forebay_server.clock import Clock, system_clock
from forebay_server.errors import FieldInvalid, RequestIdOutOfWindow, Violation

SECONDS_BACK = 15 * 60  # the longest that a client goes on retrying one call
SECONDS_AHEAD = 60  # clocks of clients without NTP drift by seconds, not minutes
UUID_VERSION = 7


class RequestIds:
    """Makes request ids and admits those of clients by the server's clock."""

    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock

    def admit(self, request_id: str) -> UUID:
        """The id of a call; a fresh one when the client sent none.

        Raises FieldInvalid for what is no UUIDv7 and RequestIdOutOfWindow for one of another
        time; that error says the server's, so that a client can correct itself.
        """
        if not request_id:
            return self.fresh()
        parsed = _parse(request_id)
        now = self._clock()
        if not now - SECONDS_BACK <= time_of(parsed) <= now + SECONDS_AHEAD:
            raise RequestIdOutOfWindow(now)
        return parsed

    def fresh(self) -> UUID:
        """A new id of now with 74 random bits."""
        milliseconds = int(self._clock() * 1000)
        value = milliseconds << 80 | secrets.randbits(80)
        value = value & ~(0xF << 76) | UUID_VERSION << 76
        value = value & ~(0x3 << 62) | 0x2 << 62
        return UUID(int=value)


def time_of(request_id: UUID) -> float:
    """The time in a UUIDv7, in seconds since 1970."""
    return (request_id.int >> 80) / 1000


def _parse(request_id: str) -> UUID:
    broken = Violation("request_id", "uuid_v7", "must be a UUIDv7 in lower case")
    try:
        parsed = UUID(request_id)
    except ValueError as error:
        raise FieldInvalid(broken) from error
    if str(parsed) != request_id or parsed.version != UUID_VERSION:
        raise FieldInvalid(broken)
    return parsed
