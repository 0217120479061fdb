"""What of an answer's records reaches a caller: only its own, in order, and while it may."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass

from forebay.policy.v1 import Visibility
from forebay.query.v1 import AnswerEvent, Query
from forebay.records.v1 import AnswerRecord
from forebay_kafka.answer_fold import AnswerFold
from forebay_kafka.errors import KafkaError
from forebay_kafka.failure import status_of
from forebay_kafka.query_view import query_of, with_etag
from forebay_kafka.records import Received, RecordReader
from forebay_server.answers.errors import QueryExpired, QueryNotFound
from forebay_server.answers.follower import Follower
from forebay_server.answers.reader import AnswerReader
from forebay_server.clock import Clock, system_clock
from forebay_server.errors import ClearanceTooLow, TokenExpired
from forebay_server.governance.caller import Caller
from forebay_server.request_ids import SECONDS_BACK
from forebay_server.seals.cursors import Cursors

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0  # below the minute after which common proxies drop a silent stream
GRACE_SECONDS = 5.0  # for the worker that writes the failure of a query past its deadline
# From the time in a name to the last deadline there can be: a call that is tried again, then the
# contract's longest timeout, and a minute of clock difference.
LONGEST_SECONDS = SECONDS_BACK + 600.0 + 60.0


@dataclass(frozen=True)
class Reading:
    """One caller's reading of one query; `time_ms` is the time in the query's name."""

    caller: Caller
    name: str
    time_ms: int


class AnswerDelivery:
    """Turns the records of a query into the events that its asker sees."""

    def __init__(
        self,
        reader: AnswerReader,
        records: RecordReader,
        cursors: Cursors,
        clock: Clock = system_clock,
    ) -> None:
        self._reader = reader
        self._records = records
        self._cursors = cursors
        self._clock = clock

    async def events(self, reading: Reading, after: int = -1) -> AsyncGenerator[AnswerEvent, None]:
        """The events behind an offset, up to the terminal one, with heartbeats in between.

        Raises ReaderTooSlow, QueryExpired, TokenExpired, ClearanceTooLow, LogUnavailable.
        """
        fold = AnswerFold()
        async with self._reader.following(reading.name, reading.time_ms) as follower:
            while not fold.closed:
                received = await self._next(follower, reading.caller, _last_moment(reading, fold))
                if received is None:
                    yield self._heartbeat(reading.name)
                    continue
                for event in self._counted(reading, fold, [received]):
                    if received.offset > after:
                        event.cursor = self._cursors.at(reading.name, received.offset)
                        yield event

    async def query(self, reading: Reading, *, up_to: int = 0) -> Query:
        """The query as the log has it now, and at least up to an offset.

        Raises QueryNotFound when the log has nothing of it, ClearanceTooLow, LogUnavailable.
        """
        received = await self._reader.snapshot(reading.name, reading.time_ms, up_to=up_to)
        fold = AnswerFold()
        events = list(self._counted(reading, fold, received))
        if not events:
            raise QueryNotFound
        query = query_of(reading.name, events)
        overdue = not fold.closed and self._clock() >= _last_moment(reading, fold)
        return _expired(query) if overdue else query

    async def _next(
        self, follower: Follower, caller: Caller, last_moment: float
    ) -> Received | None:
        now = self._clock()
        if now >= caller.expire_time:
            raise TokenExpired
        if follower.ready:  # what the log holds is delivered however late its reader comes
            return await follower.next()
        if now >= last_moment:
            raise QueryExpired
        patience = min(HEARTBEAT_SECONDS, caller.expire_time - now, last_moment - now)
        try:
            async with asyncio.timeout(patience):
                return await follower.next()
        except TimeoutError:
            return None

    def _counted(
        self, reading: Reading, fold: AnswerFold, received: Iterable[Received]
    ) -> Iterator[AnswerEvent]:
        for record in received:
            event = self._own_event(reading, record)
            if event is not None and fold.counts(event):
                _require_clearance(reading.caller, event)
                yield event

    def _own_event(self, reading: Reading, record: Received) -> AnswerEvent | None:
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
        return verified.message.event if isinstance(verified.message, AnswerRecord) else None

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


def _require_clearance(caller: Caller, event: AnswerEvent) -> None:
    passages = event.retrieved.passages
    highest = max((p.visibility for p in passages), default=Visibility.VISIBILITY_PUBLIC)
    if highest > caller.clearance:
        raise ClearanceTooLow(caller.clearance, highest)
