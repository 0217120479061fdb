"""Many documents on one stream: each gets its response, and a refused one ends nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator

from forebay.ingest.v1 import Document, StreamDocumentsRequest, StreamDocumentsResponse
from forebay_server.audit.activity import resource_of
from forebay_server.errors import EdgeError, SequenceInvalid
from forebay_server.failures import failure_of
from forebay_server.governance.caller import Call
from forebay_server.governance.judged import Judged
from forebay_server.governance.standing import Standing
from forebay_server.ingest.intake import DocumentIntake
from forebay_server.ingest.window import Window

Request = Judged[StreamDocumentsRequest]


class DocumentStream:
    """One stream of documents from one caller."""

    def __init__(self, intake: DocumentIntake, call: Call, standing: Standing) -> None:
        self._intake = intake
        self._call = call
        self._standing = standing
        self._window = Window()
        self._responses: asyncio.Queue[tuple[StreamDocumentsResponse, int] | None] = (
            asyncio.Queue()  # bounded by the window
        )

    async def responses(
        self, requests: AsyncIterator[Request]
    ) -> AsyncGenerator[StreamDocumentsResponse]:
        """Responses in the order in which the log acknowledged.

        Ends with SequenceInvalid, or with what the caller has lost meanwhile, after the responses
        to what came before.
        """
        reading = asyncio.create_task(self._read(requests))
        try:
            while (outcome := await self._responses.get()) is not None:
                response, size = outcome
                yield response
                self._window.leave(size)
            await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[Request]) -> None:
        try:
            await self._ingest_all(requests)
        finally:
            self._responses.put_nowait(None)

    async def _ingest_all(self, requests: AsyncIterator[Request]) -> None:
        refusal: EdgeError | None = None
        async with asyncio.TaskGroup() as documents:
            # Raised inside the group it would cancel documents that are on their way.
            try:
                async with self._standing.kept(self._call.caller):
                    await self._take_all(requests, documents)
            except EdgeError as error:
                refusal = error
        if refusal is not None:
            raise refusal

    async def _take_all(
        self, requests: AsyncIterator[Request], documents: asyncio.TaskGroup
    ) -> None:
        for expected in itertools.count(1):
            await self._window.room()
            request = await anext(requests, None)
            if request is None:
                return
            self._standing.require(self._call.caller)
            if request.message.sequence != expected:
                raise SequenceInvalid(expected)
            size = request.message.ByteSize()
            self._window.enter(size)
            documents.create_task(self._ingest(request, size))

    async def _ingest(self, request: Request, size: int) -> None:
        response = StreamDocumentsResponse(sequence=request.message.sequence)
        try:
            response.document.CopyFrom(await self._ingested(request))
        # Whatever happened to one document, the others go on.
        except Exception as error:  # noqa: BLE001
            self._refuse(request, error)
            response.error.CopyFrom(failure_of(error))
        self._responses.put_nowait((response, size))

    def _refuse(self, request: Request, error: Exception) -> None:
        # What breaks the contract's rules could name anything.
        resource = "" if request.refusal else resource_of(request.message.ingest)
        self._call.activity.refuse(error, resource)

    async def _ingested(self, request: Request) -> Document:
        if request.refusal is not None:
            raise request.refusal
        return await self._intake.ingest(self._call, request.message.ingest)
