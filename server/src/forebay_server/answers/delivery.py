"""What of an answer's records reaches a caller: only its own, in order, and while it may."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from forebay.query.v1 import AnswerEvent, Query
from forebay.records.v1 import AnswerRecord
from forebay_kafka.answer_fold import AnswerFold
from forebay_kafka.errors import KafkaError
from forebay_kafka.failure import status_of
from forebay_kafka.identity import Grant
from forebay_kafka.query_view import query_of, with_etag
from forebay_kafka.records import Received, RecordReader
from forebay_server.answers.errors import QueryExpired, QueryNotFound
from forebay_server.answers.follower import Follower
from forebay_server.answers.lifetime import (
    GONE_SECONDS,
    GRACE_SECONDS,
    LIFETIME_MS,
    LONGEST_SECONDS,
)
from forebay_server.answers.reader import AnswerReader
from forebay_server.answers.shown import Shown
from forebay_server.audit.disclosure import Disclosure
from forebay_server.clock import Clock, system_clock
from forebay_server.errors import TokenExpired
from forebay_server.governance.caller import Caller
from forebay_server.governance.standing import STANDING_SECONDS, Rights
from forebay_server.seals.cursors import Cursors

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0  # below the minute after which common proxies drop a silent stream

RightsNow = Callable[[Caller], Rights]
_Granted: TypeAlias = tuple[AnswerEvent, tuple[Grant, ...]]
"""An event, and what its query searched of other tenants."""


@dataclass(frozen=True)
class Reading:
    """One caller's reading of one query; `time_ms` is the time in the query's name.

    `disclosure` notes what its stream of events shows.
    """

    caller: Caller
    name: str
    time_ms: int
    disclosure: Disclosure = field(default_factory=Disclosure)


class AnswerDelivery:
    """Turns the records of a query into the events that its asker sees."""

    def __init__(
        self,
        reader: AnswerReader,
        records: RecordReader,
        cursors: Cursors,
        rights: RightsNow,
        clock: Clock = system_clock,
    ) -> None:
        self._reader = reader
        self._records = records
        self._cursors = cursors
        self._rights = rights
        self._clock = clock

    async def events(
        self, reading: Reading, after: int = -1, *, accepted: bool = False
    ) -> AsyncGenerator[AnswerEvent, None]:
        """The events behind an offset, up to the terminal one, with heartbeats in between.

        `accepted` says that the query is known to be in the log. Raises QueryNotFound otherwise
        when it is not, ReaderTooSlow, QueryExpired, TokenExpired, LogUnavailable; and
        ClearanceTooLow, GroupMissing, ShareWithdrawn, TierUnknown or TokenInvalid when the caller's
        groups, policy or issuers have changed so meanwhile.
        """
        self._require_kept(reading)
        fold, shown = AnswerFold(), Shown()
        if after >= 0:
            reading.disclosure.resume(after)
        async with self._reader.following(reading.name, reading.time_ms) as follower:
            if not accepted and not follower.ready:
                # This tells a query that was never accepted from one that is silent.
                await self.query(reading)
            while not fold.closed:
                received = await self._next(follower, reading, fold, shown)
                if received is None:
                    yield self._heartbeat(reading.name)
                    continue
                for event, grants in self._counted(reading, fold, [received]):
                    shown.take(event, grants)
                    shown.require(self._rights(reading.caller))
                    reading.disclosure.take(event)
                    if received.offset > after:
                        event.cursor = self._cursors.at(reading.name, received.offset)
                        reading.disclosure.show(event)
                        yield event

    async def query(self, reading: Reading, *, up_to: int = 0) -> Query:
        """The query as the log has it now, and at least up to an offset.

        Raises QueryNotFound when the log has nothing of it, LogUnavailable, and ClearanceTooLow,
        GroupMissing or ShareWithdrawn when the caller may not see all of it any more.
        """
        self._require_kept(reading)
        received = await self._reader.snapshot(reading.name, reading.time_ms, up_to=up_to)
        fold, shown = AnswerFold(), Shown()
        events = []
        for event, grants in self._counted(reading, fold, received):
            shown.take(event, grants)
            events.append(event)
        if not events:
            raise QueryNotFound
        shown.require(self._rights(reading.caller))
        query = query_of(reading.name, events)
        overdue = not fold.closed and self._clock() >= _last_moment(reading, fold)
        return _expired(query) if overdue else query

    def _require_kept(self, reading: Reading) -> None:
        """Refuse what the log must have forgotten by now, without asking it."""
        if self._clock() >= reading.time_ms / 1000 + GONE_SECONDS:
            raise QueryNotFound

    async def _next(
        self, follower: Follower, reading: Reading, fold: AnswerFold, shown: Shown
    ) -> Received | None:
        """The next record; None where it is time for a heartbeat."""
        loop = asyncio.get_running_loop()
        quiet_until = loop.time() + HEARTBEAT_SECONDS
        while loop.time() < quiet_until:
            shown.require(self._rights(reading.caller))
            now, token_end = self._clock(), reading.caller.expire_time
            last_moment = _last_moment(reading, fold)
            if now >= token_end:
                raise TokenExpired
            if now >= last_moment and not follower.ready:
                await self._reader.catch_up(reading.name)
                if not follower.ready:
                    raise QueryExpired
            if follower.ready:  # what the log holds is delivered however late its reader comes
                return await follower.next()
            left = min(quiet_until - loop.time(), token_end - now, last_moment - now)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(STANDING_SECONDS, left)):
                    return await follower.next()
        return None

    def _counted(
        self, reading: Reading, fold: AnswerFold, received: Iterable[Received]
    ) -> Iterator[_Granted]:
        for record in received:
            granted = self._own_event(reading, record)
            if granted is not None and fold.counts(granted[0]):
                yield granted

    def _own_event(self, reading: Reading, record: Received) -> _Granted | None:
        if record.timestamp_ms >= reading.time_ms + LIFETIME_MS:
            return None
        try:
            verified = self._records.read(record)
        except KafkaError as error:
            log.warning("answer at %d/%d: %s", record.partition, record.offset, error)
            return None
        identity, caller = verified.envelope.identity, reading.caller
        owner = (identity.issuer, identity.tenant, identity.subject)
        if owner != (caller.issuer, caller.tenant, caller.subject):
            log.warning("answer at %d/%d: of another caller", record.partition, record.offset)
            return None
        if not isinstance(verified.message, AnswerRecord):
            return None
        return verified.message.event, verified.envelope.statement.grants

    def _heartbeat(self, name: str) -> AnswerEvent:
        event = AnswerEvent(query=name, heartbeat=AnswerEvent.Heartbeat())
        event.time.FromNanoseconds(int(self._clock() * 1e9))
        return event


def _last_moment(reading: Reading, fold: AnswerFold) -> float:
    # A fast worker's first record may lie in front of `accepted`, which brings the deadline.
    deadline = fold.expire_time or reading.time_ms / 1000 + LONGEST_SECONDS
    return deadline + GRACE_SECONDS


def _expired(query: Query) -> Query:
    query.state = Query.STATE_FAILED
    query.error.CopyFrom(status_of(QueryExpired()))
    return with_etag(query)
