"""Many documents on one stream, and on another when that breaks."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc
import grpc.aio

from forebay.client.calls import Calls
from forebay.client.document import IngestOutcome
from forebay.client.document_feed import DocumentFeed
from forebay.client.document_window import DocumentWindow, Pending
from forebay.client.errors import ForebayError, Unavailable
from forebay.client.failure import failure_of_call, failure_of_status
from forebay.client.retry import Retries
from forebay.errors.v1 import ErrorReason
from forebay.ingest.v1 import StreamDocumentsRequest, StreamDocumentsResponse

_RECEIPT_SECONDS = 120.0  # longer than 4 MiB take at 300 kbit/s
_LISTEN_SECONDS = 0.5  # a refusal takes a round trip; only a stream that failed pays this
_CLOCK = ErrorReason.ERROR_REASON_REQUEST_ID_OUT_OF_WINDOW


class DocumentStream:
    """Sends documents and yields what became of each.

    A writer task sends while the window has room; the reader settles receipts. A stream ends
    early when it breaks, or when the server asks to send a document again: then the documents
    without a receipt go on the next stream under their former request ids.
    """

    def __init__(
        self,
        calls: Calls,
        method: "grpc.aio.StreamStreamMultiCallable[StreamDocumentsRequest, StreamDocumentsResponse]",  # noqa: E501
        feed: DocumentFeed,
    ) -> None:
        self._calls = calls
        self._method = method
        self._feed = feed
        self._window = DocumentWindow()
        self._interruption: ForebayError | None = None
        self._listen_first = False
        self._source_error: Exception | None = None
        self._settled = asyncio.Event()
        self._sent = asyncio.Event()

    async def outcomes(self) -> AsyncGenerator[IngestOutcome]:
        """One outcome for each document, in the order of the receipts.

        Raises:
            ForebayError: no stream can be had any more; documents without an outcome may or
                may not be in the log.
            Exception: what the source raised, after the outcomes of what it gave before.
        """
        retries = self._calls.retries(None)
        try:
            while True:
                try:
                    async with aclosing(self._one_stream(retries)) as outcomes:
                        async for outcome in outcomes:
                            yield outcome
                    failure = self._interruption
                except grpc.aio.AioRpcError as error:
                    failure = failure_of_call(error)
                    self._listen_first = failure.code is grpc.StatusCode.INTERNAL
                if failure is None:
                    break
                renewed = (each.identified for each in self._window.refused)
                await self._calls.recover(failure, retries, *renewed)
        finally:
            await self._feed.aclose()
        if self._source_error is not None:
            raise self._source_error

    async def _one_stream(self, retries: Retries) -> AsyncGenerator[IngestOutcome]:
        self._window.begin_stream()
        self._interruption = None
        call = self._method(None, metadata=await self._calls.metadata())
        writer = asyncio.create_task(self._write(call))
        try:
            while await self._receipt_is_due(writer):
                response = await self._read(call)
                if response is None:
                    return
                outcome = self._settle(response, retries)
                if outcome is not None:
                    yield outcome
        finally:
            writer.cancel()
            await asyncio.wait({writer})
            call.cancel()

    async def _read(
        self, call: "grpc.aio.StreamStreamCall[StreamDocumentsRequest, StreamDocumentsResponse]"
    ) -> StreamDocumentsResponse | None:
        try:
            response = await asyncio.wait_for(call.read(), _RECEIPT_SECONDS)
        except TimeoutError:
            self._interruption = Unavailable(f"no receipt for {_RECEIPT_SECONDS:g} s")
            return None
        if isinstance(response, StreamDocumentsResponse):
            return response
        self._interruption = Unavailable("the stream ended before its last receipt")
        return None

    async def _receipt_is_due(self, writer: "asyncio.Task[None]") -> bool:
        while not self._window.has_sent and not writer.done():
            self._sent.clear()
            await _either(self._sent, writer)
        return self._window.has_sent

    def _settle(self, response: StreamDocumentsResponse, retries: Retries) -> IngestOutcome | None:
        pending = self._window.receipt(response.sequence)
        if pending is None:
            return None
        self._settled.set()
        if response.WhichOneof("outcome") == "document":
            retries.progressed()
            self._window.settle(response.sequence)
            return IngestOutcome(pending.source, document=response.document)
        error = failure_of_status(response.error)
        if retries.may_retry(error) and (error.reason != _CLOCK or pending.identified):
            self._interruption = error
            self._window.refuse(response.sequence)
            return None
        retries.progressed()
        self._window.settle(response.sequence)
        return IngestOutcome(pending.source, error=error)

    async def _write(
        self, call: "grpc.aio.StreamStreamCall[StreamDocumentsRequest, StreamDocumentsResponse]"
    ) -> None:
        try:
            if self._listen_first:
                await _ended(call)
            while await self._has_next():
                request = self._window.send()
                self._sent.set()
                await call.write(request)
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            # The call is over. The reader, for whom a receipt is due, is told why.
            return

    async def _has_next(self) -> bool:
        while not self._window.has_unsent:
            if self._interruption is not None or self._source_error is not None:
                return False
            self._settled.clear()
            await _either(self._settled, self._feed.upcoming() if self._window.has_room else None)
            if self._window.has_room and self._feed.upcoming().done() and not self._take():
                return False
        return self._interruption is None

    def _take(self) -> bool:
        try:
            source = self._feed.take()
            if source is None:
                return False
            request = source.to_request()
        except Exception as error:  # noqa: BLE001 - raised again once receipts are in
            self._source_error = error
            return False
        identified = self._calls.identify(request)
        size = request.ByteSize()
        self._window.take(Pending(source, request, identified, size))
        return True


async def _either(event: asyncio.Event, task: "asyncio.Task[Any] | None") -> None:
    """Waits until the event is set or the task is done."""
    woken = asyncio.create_task(event.wait())
    try:
        waits = {woken} if task is None else {woken, task}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        woken.cancel()


async def _ended(call: grpc.aio.Call) -> None:
    """Waits a moment for the call's end.

    A write into a stream that the server ended replaces the server's status by INTERNAL
    (grpc/grpc issue 36066), so the stream that follows such an end listens before it writes.
    """
    code = asyncio.create_task(call.code())
    try:
        await asyncio.wait({code}, timeout=_LISTEN_SECONDS)
    finally:
        code.cancel()
