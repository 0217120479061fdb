"""QueryService: ask, follow, look up and cancel."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from forebay.query.v1 import (
    AnswerEvent,
    AskRequest,
    Caller,
    CancelQueryRequest,
    GetCallerRequest,
    GetQueryRequest,
    Query,
    StreamAnswerRequest,
    SubmitQueryRequest,
)
from forebay_kafka.answer_fold import TERMINAL
from forebay_server.answers.delivery import AnswerDelivery, Reading
from forebay_server.answers.errors import QueryNotFound
from forebay_server.governance.caller import Call
from forebay_server.governance.caller_proto import caller_message
from forebay_server.limits.answer_lease import AnswerLease
from forebay_server.limits.limiter import Limiter
from forebay_server.limits.remaining import show_remaining
from forebay_server.queries.intake import QueryIntake
from forebay_server.seals.cursors import Cursors
from forebay_server.seals.query_names import Asker, QueryNames

ENDED = frozenset({Query.STATE_COMPLETED, Query.STATE_FAILED, Query.STATE_CANCELLED})


class QueryService:
    """Implements forebay.query.v1.QueryService."""

    def __init__(
        self,
        intake: QueryIntake,
        delivery: AnswerDelivery,
        names: QueryNames,
        cursors: Cursors,
        limiter: Limiter,
    ) -> None:
        self._intake = intake
        self._delivery = delivery
        self._names = names
        self._cursors = cursors
        self._limiter = limiter

    async def submit_query(self, call: Call, request: SubmitQueryRequest) -> Query:
        """Put a question into the log."""
        query = (await self._intake.submit(call, request, followed=False)).query
        call.activity.disclosure.show_whole(query)
        return query

    async def ask(self, call: Call, request: AskRequest) -> AsyncIterator[AnswerEvent]:
        """Put a question into the log and follow its answer."""
        submitted = await self._intake.submit(call, request.query, followed=True)
        name, disclosure = submitted.query.name, call.activity.disclosure
        reading = Reading(call.caller, name, submitted.time_ms, disclosure)
        following = self._delivery.events(reading, accepted=True)
        async with aclosing(_leased(following, submitted.lease)) as events:
            async for event in events:
                yield event

    async def stream_answer(
        self, call: Call, request: StreamAnswerRequest
    ) -> AsyncIterator[AnswerEvent]:
        """Follow an answer, or go on behind a cursor."""
        reading = self._reading(call, request.name)
        lease = self._limiter.lease_of(call.caller, request.name)
        following = self._delivery.events(reading, self._after(request))
        async with aclosing(_leased(following, lease)) as events:
            async for event in events:
                yield event

    async def get_query(self, call: Call, request: GetQueryRequest) -> Query:
        """Return a query as the log has it now."""
        return await self._seen(call, await self._delivery.query(self._reading(call, request.name)))

    async def cancel_query(self, call: Call, request: CancelQueryRequest) -> Query:
        """End a query that has not ended."""
        reading = self._reading(call, request.name)
        query = await self._delivery.query(reading)
        if query.state not in ENDED:
            position = await self._intake.cancel(call, request.name)
            query = await self._delivery.query(reading, up_to=position.offset + 1)
        return await self._seen(call, query)

    async def get_caller(self, call: Call, _request: GetCallerRequest) -> Caller:
        """Return who the server takes the caller for."""
        message = caller_message(call.caller)
        show_remaining(await self._limiter.remaining(call.caller), message.limits)
        return message

    async def _seen(self, call: Call, query: Query) -> Query:
        if query.state in ENDED:
            await self._limiter.lease_of(call.caller, query.name).end()
        call.activity.disclosure.show_whole(query)
        return query

    def _reading(self, call: Call, name: str) -> Reading:
        caller = call.caller
        asker = Asker(caller.issuer, caller.tenant, caller.subject)
        time_ms = self._names.opened(asker, name)
        if time_ms is None:
            raise QueryNotFound
        return Reading(caller, name, time_ms, call.activity.disclosure)

    def _after(self, request: StreamAnswerRequest) -> int:
        return (
            self._cursors.offset(request.name, request.after_cursor) if request.after_cursor else -1
        )


async def _leased(
    events: AsyncGenerator[AnswerEvent], lease: AnswerLease
) -> AsyncGenerator[AnswerEvent]:
    """The same events; the lease is renewed meanwhile, and ends with the answer."""
    async with lease.following(), aclosing(events):
        async for event in events:
            if event.WhichOneof("event") in TERMINAL:
                await lease.end()
            yield event
