"""Puts questions, and the end that their askers set them, into the log."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from forebay.query.v1 import AnswerEvent, Query, SubmitQueryRequest
from forebay.records.v1 import AnswerRecord, QueryRecord
from forebay_kafka.envelope import EnvelopeSigner, Statement
from forebay_kafka.publisher import Position, Publisher
from forebay_kafka.records import record_type
from forebay_kafka.topics import topic_of
from forebay_server.acknowledgement import acknowledged
from forebay_server.answers.delivery import AnswerDelivery, Reading
from forebay_server.answers.errors import QueryNotFound
from forebay_server.clock import Clock, system_clock
from forebay_server.errors import FieldInvalid, Violation
from forebay_server.governance.caller import Call, Caller
from forebay_server.request_ids import RequestIds
from forebay_server.seals.query_names import Asker, QueryNames

DEFAULT_TOP_K = 10
DEFAULT_TIMEOUT = Duration(seconds=60)
# Stages remember a query for some minutes, so a young retry needs no look-up of ours.
OLD_SECONDS = 60.0


@dataclass(frozen=True)
class Submitted:
    """A question that is safe in the log; `time_ms` is the time in its name."""

    query: Query
    time_ms: int


class QueryIntake:
    """Names questions, vouches for who asks them, and writes them to the log."""

    def __init__(
        self,
        publisher: Publisher,
        signer: EnvelopeSigner,
        names: QueryNames,
        request_ids: RequestIds,
        delivery: AnswerDelivery,
        clock: Clock = system_clock,
    ) -> None:
        self._publisher = publisher
        self._signer = signer
        self._names = names
        self._request_ids = request_ids
        self._delivery = delivery
        self._clock = clock

    async def submit(self, call: Call, request: SubmitQueryRequest) -> Submitted:
        """Write a question and its `accepted`; returns once both are acknowledged.

        A late retry finds the query as it is now, and writes nothing. Raises FieldInvalid,
        RequestIdOutOfWindow, LogUnavailable.
        """
        request_id = self._request_ids.admit(request.request_id)
        name = self._names.derive(_asker(call.caller), request_id, request)
        record = self._record(name, _with_defaults(call.caller, request, str(request_id)))
        known = await self._known(Reading(call.caller, name, request_id.int >> 80))
        if known is not None:
            return Submitted(known, request_id.int >> 80)
        async with acknowledged(call):
            await self._write(call, record)
        query = Query(
            name=name,
            state=Query.STATE_QUEUED,
            text=request.text,
            create_time=record.accept_time,
            expire_time=record.expire_time,
        )
        return Submitted(query, request_id.int >> 80)

    async def _known(self, reading: Reading) -> Query | None:
        if self._clock() - reading.time_ms / 1000 < OLD_SECONDS:
            return None
        try:
            return await self._delivery.query(reading)
        except QueryNotFound:
            return None

    async def cancel(self, call: Call, name: str) -> Position:
        """Write the end of a query; returns where the log put it. Raises LogUnavailable."""
        event = AnswerEvent(query=name, cancelled=AnswerEvent.Cancelled())
        event.time.FromNanoseconds(int(self._clock() * 1e9))
        record = AnswerRecord(event=event)
        token = self._seal(call, record, Statement(name))
        async with acknowledged(call):
            return await self._publisher.publish(
                record, key=name, identity_token=token, trace_parent=call.trace_parent
            )

    def _record(self, name: str, request: SubmitQueryRequest) -> QueryRecord:
        now = int(self._clock() * 1e9)
        record = QueryRecord(name=name, request=request)
        record.accept_time.FromNanoseconds(now)
        record.expire_time.FromNanoseconds(now + request.timeout.ToNanoseconds())
        return record

    async def _write(self, call: Call, record: QueryRecord) -> None:
        value = record.SerializeToString()
        deadline = math.ceil(record.expire_time.ToNanoseconds() / 1e9)
        token = self._signer.seal(
            call.caller.identity(),
            record_type(QueryRecord),
            value,
            Statement(record.name, expire_time=deadline),
        )
        await asyncio.gather(
            self._publisher.publish(
                _accepted(record),
                key=record.name,
                identity_token=token,
                trace_parent=call.trace_parent,
            ),
            self._publisher.publish_value(
                topic_of(QueryRecord),
                value,
                key=record.name,
                identity_token=token,
                trace_parent=call.trace_parent,
            ),
        )

    def _seal(self, call: Call, record: AnswerRecord, statement: Statement) -> bytes:
        return self._signer.seal(
            call.caller.identity(),
            record_type(AnswerRecord),
            record.SerializeToString(),
            statement,
        )


def _asker(caller: Caller) -> Asker:
    return Asker(caller.issuer, caller.tenant, caller.subject)


def _accepted(record: QueryRecord) -> AnswerRecord:
    accepted = AnswerEvent.Accepted(text=record.request.text, expire_time=record.expire_time)
    event = AnswerEvent(query=record.name, time=record.accept_time, accepted=accepted)
    return AnswerRecord(event=event)


def _with_defaults(
    caller: Caller, request: SubmitQueryRequest, request_id: str
) -> SubmitQueryRequest:
    limit = caller.limits.top_k
    if request.top_k > limit:
        raise FieldInvalid(
            Violation("top_k", "tier.top_k", f"must be at most {limit} in the tier {caller.tier}")
        )
    resolved = SubmitQueryRequest()
    resolved.CopyFrom(request)
    resolved.request_id = request_id
    resolved.top_k = request.top_k or min(limit, DEFAULT_TOP_K)
    resolved.mode = request.mode or SubmitQueryRequest.MODE_ANSWER
    if not request.HasField("timeout"):
        resolved.timeout.CopyFrom(DEFAULT_TIMEOUT)
    return resolved
