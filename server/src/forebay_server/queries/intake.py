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
from forebay_server.answers.lifetime import GRACE_SECONDS
from forebay_server.clock import Clock, system_clock
from forebay_server.errors import FieldInvalid, Violation
from forebay_server.governance.caller import Call, Caller
from forebay_server.governance.shares import searched
from forebay_server.limits.answer_lease import AnswerLease
from forebay_server.limits.limiter import Limiter
from forebay_server.queries.admission import Admission
from forebay_server.queries.errors import PipelineOverloaded
from forebay_server.request_ids import RequestIds
from forebay_server.seals.query_names import Asker, QueryNames

DEFAULT_TOP_K = 10
DEFAULT_TIMEOUT = Duration(seconds=60)
# Stages remember a query for some minutes, so a young retry needs no look-up of ours.
OLD_SECONDS = 60.0


@dataclass(frozen=True)
class Submitted:
    """A question that is safe in the log; `time_ms` is the time in its name.

    `lease` is the place that its answer takes among those of its asker.
    """

    query: Query
    time_ms: int
    lease: AnswerLease


class QueryIntake:
    """Names questions, vouches for who asks them, and writes them to the log."""

    def __init__(
        self,
        publisher: Publisher,
        signer: EnvelopeSigner,
        names: QueryNames,
        delivery: AnswerDelivery,
        admission: Admission,
        limiter: Limiter,
        clock: Clock = system_clock,
    ) -> None:
        self._publisher = publisher
        self._signer = signer
        self._names = names
        self._request_ids = RequestIds(clock)
        self._delivery = delivery
        self._admission = admission
        self._limiter = limiter
        self._clock = clock

    async def submit(self, call: Call, request: SubmitQueryRequest, *, followed: bool) -> Submitted:
        """Write a question and its `accepted`; returns once both are acknowledged.

        A late retry finds the query as it is now, and writes nothing. `followed` says that the
        call follows the answer too. Raises FieldInvalid, RequestIdOutOfWindow, PipelineOverloaded,
        LimitReached, LimitsUnavailable, LogUnavailable.
        """
        request_id = self._request_ids.admit(request.request_id)
        name = self._names.derive(_asker(call.caller), request_id, request)
        call.activity.resource = name
        record = self._record(name, _with_defaults(call.caller, request, str(request_id)))
        known = await self._known_or_admitted(
            call, Reading(call.caller, name, request_id.int >> 80), record.request
        )
        if known is not None:
            lease = self._limiter.lease_of(call.caller, name)
            return Submitted(known, request_id.int >> 80, lease)
        lease = await self._lease(call.caller, record, followed=followed)
        try:
            async with acknowledged(call):
                await self._write(call, record)
            call.activity.logged = True
        except BaseException:
            await lease.undo()
            raise
        query = Query(
            name=name,
            state=Query.STATE_QUEUED,
            text=request.text,
            create_time=record.accept_time,
            expire_time=record.expire_time,
        )
        return Submitted(query, request_id.int >> 80, lease)

    async def _lease(self, caller: Caller, record: QueryRecord, *, followed: bool) -> AnswerLease:
        return await self._limiter.admit_answer(
            caller,
            record.name,
            record.expire_time.ToNanoseconds() / 1e9 + GRACE_SECONDS,
            followed=followed,
            generated=record.request.mode == SubmitQueryRequest.MODE_ANSWER,
        )

    async def _known_or_admitted(
        self, call: Call, reading: Reading, request: SubmitQueryRequest
    ) -> Query | None:
        """The query, if the log has it already; None for one that may be written."""
        timeout = request.timeout.ToNanoseconds() / 1e9
        wait = self._admission.expected_wait(reading.name, request.mode)
        is_old = self._clock() - reading.time_ms / 1000 >= OLD_SECONDS
        if wait <= timeout and not is_old:
            return None
        async with acknowledged(call):
            known = await self._known(reading)
        # What was accepted stays so: its retry is answered, however far behind the stages are.
        if known is None and wait > timeout:
            raise PipelineOverloaded(wait, timeout)
        return known

    async def _known(self, reading: Reading) -> Query | None:
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
            Statement(
                record.name,
                expire_time=deadline,
                grants=searched(call.caller.grants, record.request.collections),
            ),
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
