"""The tokens of each tenant and day: a fold of the log's usage records."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass, field

from forebay.records.v1 import UsageRecord
from forebay_server.clock import Clock
from forebay_server.limits.errors import LimitsUnavailable

SECONDS_PER_DAY = 86_400
# Of the attempts charged: at a million a day, one of 10⁷ days has a pair that is taken for one.
DIGEST_BYTES = 8
CATCH_UP_SECONDS = 2.0  # a call waits so long for the day's records at the start, then fails


@dataclass(slots=True)
class _Day:
    tokens: Counter[str] = field(default_factory=Counter)
    charged: set[bytes] = field(default_factory=set)


class UsageLedger:
    """Charges every attempt once, to the day (UTC) that its record names.

    The sum depends on the records alone, not on their order or on who reads them when: all edges
    agree, before and after a restart. An attempt takes some 100 bytes until its day is over.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._days: dict[int, _Day] = {}
        self._complete = asyncio.Event()

    def charge(self, tenant: str, record: UsageRecord) -> None:
        """Charge an attempt to a tenant, unless it was, or its day is not one of these days."""
        today, number = self._today(), record.time.seconds // SECONDS_PER_DAY
        # One day to each side: clocks of workers may be a little ahead, or this one be set back.
        if abs(number - today) > 1:
            return
        for old in [day for day in self._days if day < today - 1]:
            del self._days[old]
        day = self._days.setdefault(number, _Day())
        attempt = _digest(record)
        if attempt not in day.charged:
            day.charged.add(attempt)
            usage = record.usage
            day.tokens[tenant] += max(0, usage.input_tokens) + max(0, usage.output_tokens)

    def complete(self) -> None:
        """Note that everything is charged that the log held when this process began."""
        self._complete.set()

    async def used(self, tenant: str) -> int:
        """The tokens of a tenant today, as far as the log's records have come.

        Until it is complete nobody knows, and money is not spent on a guess: waits a little, then
        raises LimitsUnavailable.
        """
        if not self._complete.is_set():
            try:
                async with asyncio.timeout(CATCH_UP_SECONDS):
                    await self._complete.wait()
            except TimeoutError as error:
                raise LimitsUnavailable from error
        return self._used(tenant)

    def used_so_far(self, tenant: str) -> int | None:
        """The same without waiting; None while it is not known."""
        return self._used(tenant) if self._complete.is_set() else None

    def midnight(self) -> float:
        """When today began, in seconds since 1970."""
        return self._today() * float(SECONDS_PER_DAY)

    def _used(self, tenant: str) -> int:
        day = self._days.get(self._today())
        return day.tokens[tenant] if day else 0

    def _today(self) -> int:
        return int(self._clock() // SECONDS_PER_DAY)


def next_midnight(now: float) -> float:
    """When the day (UTC) of a time is over, both in seconds since 1970."""
    return (now // SECONDS_PER_DAY + 1) * SECONDS_PER_DAY


def _digest(record: UsageRecord) -> bytes:
    # Neither a name nor an attempt holds a line break.
    named = f"{record.name}\n{record.attempt}".encode()
    return hashlib.blake2b(named, digest_size=DIGEST_BYTES).digest()
