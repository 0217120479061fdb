"""The events of a query, followed over as many streams as it takes."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self

import grpc.aio

from forebay.client.answer import TERMINAL, Answer, AnswerFold
from forebay.client.answer_position import AnswerPosition
from forebay.client.calls import Calls, Identified, now
from forebay.client.errors import FailedPrecondition, ForebayError, Unavailable
from forebay.client.failure import failure_of_call
from forebay.client.retry import Retries
from forebay.query.v1 import AnswerEvent, AskRequest, StreamAnswerRequest


@dataclass(frozen=True)
class AnswerMethods:
    """The two methods that send a query's events."""

    ask: "grpc.aio.UnaryStreamMultiCallable[AskRequest, AnswerEvent]"
    follow: "grpc.aio.UnaryStreamMultiCallable[StreamAnswerRequest, AnswerEvent]"


class AsyncAnswerStream(AsyncIterator[AnswerEvent]):
    """The events of one query until its terminal one, each once, without heartbeats.

    The call begins with the first event that is asked for. A stream that breaks is resumed
    behind the last event; before the first one the question is asked again under its
    request_id, which is the same query. Closing the stream cancels nothing: follow it again
    by `query` and `cursor`.
    """

    def __init__(
        self,
        calls: Calls,
        methods: AnswerMethods,
        *,
        question: AskRequest | None = None,
        query: str = "",
        after_cursor: str = "",
        timeout: float | None = None,
    ) -> None:
        self._calls = calls
        self._methods = methods
        self._question = question
        self._timeout = timeout
        self._after_cursor = after_cursor
        self._position = AnswerPosition(after_cursor)
        self._fold = AnswerFold()
        self._fold.query = query
        self._events = self._follow()

    @property
    def query(self) -> str:
        """The query's name; empty until the first event told it."""
        return self._fold.query

    @property
    def cursor(self) -> str:
        """Behind the last event that was returned."""
        return self._position.cursor

    async def answer(self) -> Answer:
        """Reads what is left and returns the whole answer.

        Raises:
            QueryFailed: the query ended without an answer.
            QueryCancelled: somebody cancelled it.
            FailedPrecondition: the stream began behind the query's end.
            ForebayError: the stream ended and cannot be resumed.
        """
        async for _ in self:
            pass
        if not self._fold.ended:
            raise FailedPrecondition(
                "nothing of the answer lies behind this cursor: follow the query from its beginning"
            )
        return self._fold.answer()

    async def __anext__(self) -> AnswerEvent:
        return await anext(self._events)

    async def aclose(self) -> None:
        """Stops reading."""
        await self._events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _follow(self) -> AsyncGenerator[AnswerEvent]:
        retries = self._calls.retries(self._timeout)
        identified = self._identify()
        while not self._fold.ended:
            opened = now()
            try:
                async with aclosing(self._one_stream(retries)) as events:
                    async for event in events:
                        yield event
                if self._position.cursor and self._position.cursor == self._after_cursor:
                    # Nothing lies behind the cursor we were given: it is the terminal event's.
                    return
                failure: ForebayError = Unavailable("the stream ended before the answer did")
            except grpc.aio.AioRpcError as error:
                failure = failure_of_call(error)
            if not self._fold.ended:
                retries.stream_ended(opened, now())
                await self._calls.recover(failure, retries, *identified)

    async def _one_stream(self, retries: Retries) -> AsyncGenerator[AnswerEvent]:
        call = await self._open(retries)
        try:
            async for event in call:
                retries.progressed()
                if not self._position.admit(event):
                    continue
                self._fold.add(event)
                yield event
                if event.WhichOneof("event") in TERMINAL:
                    return
        finally:
            call.cancel()

    async def _open(
        self, retries: Retries
    ) -> "grpc.aio.UnaryStreamCall[AskRequest, AnswerEvent] | grpc.aio.UnaryStreamCall[StreamAnswerRequest, AnswerEvent]":  # noqa: E501
        metadata = await self._calls.metadata()
        timeout = retries.remaining(now())
        if self._question is not None and not self._position.cursor:
            return self._methods.ask(self._question, timeout=timeout, metadata=metadata)
        request = StreamAnswerRequest(name=self.query, after_cursor=self._position.cursor)
        return self._methods.follow(request, timeout=timeout, metadata=metadata)

    def _identify(self) -> tuple[Identified | None, ...]:
        if self._question is None:
            return ()
        return (self._calls.identify(self._question.query),)
