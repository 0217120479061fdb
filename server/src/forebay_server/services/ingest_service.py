"""IngestService: bring documents in, watch them and take them out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from google.protobuf.empty_pb2 import Empty

from forebay.ingest.v1 import (
    DeleteDocumentRequest,
    Document,
    GetDocumentRequest,
    IngestDocumentRequest,
    ListDocumentsRequest,
    ListDocumentsResponse,
    StreamDocumentsRequest,
    StreamDocumentsResponse,
    UpdateDocumentRequest,
)
from forebay_server.governance.caller import Call
from forebay_server.governance.judged import Judged
from forebay_server.governance.standing import Standing
from forebay_server.ingest.catalogue import DocumentCatalogue
from forebay_server.ingest.document_stream import DocumentStream
from forebay_server.ingest.intake import DocumentIntake


class IngestService:
    """Implements forebay.ingest.v1.IngestService."""

    def __init__(
        self,
        intake: DocumentIntake,
        catalogue: DocumentCatalogue,
        standing: Standing,
    ) -> None:
        self._intake = intake
        self._catalogue = catalogue
        self._standing = standing

    async def ingest_document(self, call: Call, request: IngestDocumentRequest) -> Document:
        """Put a version into the log."""
        return await self._intake.ingest(call, request)

    async def stream_documents(
        self, call: Call, requests: AsyncIterator[Judged[StreamDocumentsRequest]]
    ) -> AsyncGenerator[StreamDocumentsResponse]:
        """Put many versions into the log, with a response each."""
        stream = DocumentStream(self._intake, call, self._standing)
        async with aclosing(stream.responses(requests)) as responses:
            async for response in responses:
                yield response

    async def get_document(self, call: Call, request: GetDocumentRequest) -> Document:
        """Return the newest version, or what became of the one with that etag."""
        if request.etag:
            return await self._catalogue.version(call.caller, request.name, request.etag)
        return await self._catalogue.newest(call.caller, request.name)

    async def list_documents(
        self, call: Call, request: ListDocumentsRequest
    ) -> ListDocumentsResponse:
        """Return a page of a collection."""
        return await self._catalogue.page(call.caller, request)

    async def update_document(self, call: Call, request: UpdateDocumentRequest) -> Document:
        """Put a change of access into the log, if the document still has the etag it names."""
        document = request.document
        if document.etag:
            await self._catalogue.require_etag(call.caller, document.name, document.etag)
        return await self._intake.update(call, request)

    async def delete_document(self, call: Call, request: DeleteDocumentRequest) -> Empty:
        """Put the end of a document into the log."""
        await self._intake.delete(call, request.name, request.request_id)
        return Empty()
