"""QueryService: ask, follow, look up and cancel."""

from __future__ import annotations

from collections.abc import AsyncIterator
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
from forebay_server.answers.delivery import AnswerDelivery, Reading
from forebay_server.answers.errors import QueryNotFound
from forebay_server.governance.caller import Call
from forebay_server.governance.caller_proto import caller_message
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
    ) -> None:
        self._intake = intake
        self._delivery = delivery
        self._names = names
        self._cursors = cursors

    async def submit_query(self, call: Call, request: SubmitQueryRequest) -> Query:
        """Put a question into the log."""
        return (await self._intake.submit(call, request)).query

    async def ask(self, call: Call, request: AskRequest) -> AsyncIterator[AnswerEvent]:
        """Put a question into the log and follow its answer."""
        submitted = await self._intake.submit(call, request.query)
        reading = Reading(call.caller, submitted.query.name, submitted.time_ms)
        async with aclosing(self._delivery.events(reading, accepted=True)) as events:
            async for event in events:
                yield event

    async def stream_answer(
        self, call: Call, request: StreamAnswerRequest
    ) -> AsyncIterator[AnswerEvent]:
        """Follow an answer, or go on behind a cursor."""
        reading = self._reading(call, request.name)
        after = self._after(request)
        async with aclosing(self._delivery.events(reading, after)) as events:
            async for event in events:
                yield event

    async def get_query(self, call: Call, request: GetQueryRequest) -> Query:
        """Return a query as the log has it now."""
        return await self._delivery.query(self._reading(call, request.name))

    async def cancel_query(self, call: Call, request: CancelQueryRequest) -> Query:
        """End a query that has not ended."""
        reading = self._reading(call, request.name)
        query = await self._delivery.query(reading)
        if query.state in ENDED:
            return query
        position = await self._intake.cancel(call, request.name)
        return await self._delivery.query(reading, up_to=position.offset + 1)

    async def get_caller(self, call: Call, _request: GetCallerRequest) -> Caller:
        """Return who the server takes the caller for."""
        return caller_message(call.caller)

    def _reading(self, call: Call, name: str) -> Reading:
        caller = call.caller
        asker = Asker(caller.issuer, caller.tenant, caller.subject)
        time_ms = self._names.opened(asker, name)
        if time_ms is None:
            raise QueryNotFound
        return Reading(caller, name, time_ms)

    def _after(self, request: StreamAnswerRequest) -> int:
        return (
            self._cursors.offset(request.name, request.after_cursor) if request.after_cursor else -1
        )
