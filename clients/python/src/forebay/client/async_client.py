"""The client for asyncio."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import Self, Unpack

from forebay.client.async_answer_stream import AnswerMethods, AsyncAnswerStream
from forebay.client.calls import Calls
from forebay.client.channel import open_channel
from forebay.client.credentials import AsyncToken, Tls, TokenSource
from forebay.client.dead_letters import (
    DeadLetterOptions,
    SelectionOptions,
    dead_letter_filter,
    select,
)
from forebay.client.document import (
    DocumentFields,
    IngestOutcome,
    NewDocument,
    collection_name,
)
from forebay.client.document_change import DocumentChanges, update_request
from forebay.client.document_feed import DocumentFeed
from forebay.client.document_stream import DocumentStream
from forebay.client.document_watch import DocumentWatch
from forebay.client.pipeline_watch import PipelineWatch
from forebay.client.question import QuestionOptions, question
from forebay.client.request_id import RequestIds
from forebay.client.retry import RetryPolicy
from forebay.ingest.v1 import (
    DeleteDocumentRequest,
    Document,
    GetDocumentRequest,
    IngestServiceStub,
    ListDocumentsRequest,
)
from forebay.pipeline.v1 import (
    DeadLetter,
    GetPipelineStatusRequest,
    ListDeadLettersRequest,
    PipelineServiceStub,
    PipelineStatus,
    PurgeDeadLettersRequest,
    PurgeDeadLettersResponse,
    RedriveDeadLettersRequest,
    RedriveDeadLettersResponse,
)
from forebay.query.v1 import (
    AskRequest,
    Caller,
    CancelQueryRequest,
    GetCallerRequest,
    GetQueryRequest,
    Query,
    QueryServiceStub,
)

CALL_SECONDS = 30.0
_QUERY_SECONDS = 60.0  # what the contract gives a query that names no timeout
_LONGEST_QUERY_SECONDS = 600.0  # the most that the contract gives
_GRACE_SECONDS = 30.0  # a server tells an expired query's end within this
WAIT_SECONDS = 60.0
WATCH_SECONDS = 2.0


class AsyncClient:
    """Asks questions, brings documents in, and looks after the pipeline.

    Every method may raise ForebayError. What may be retried is retried within the deadline
    under the same request_id, so that it takes effect once.
    """

    def __init__(
        self,
        target: str,
        token: AsyncToken,
        *,
        tls: Tls = None,
        timeout: float = CALL_SECONDS,
        retry: RetryPolicy | None = None,
    ) -> None:
        """Opens nothing yet: the first call connects.

        Args:
            target: `host:port`, or any gRPC target name.
            token: the bearer token, or what returns it; asked again for each attempt.
            tls: a file or bytes of root certificates (PEM), True for gRPC's own roots, False
                for a connection in clear; by default clear to this machine, TLS elsewhere.
            timeout: seconds for a call that does not say otherwise.
            retry: how attempts follow one another.
        """
        self._channel = open_channel(target, tls)
        self._queries = QueryServiceStub(self._channel)
        self._documents = IngestServiceStub(self._channel)
        self._pipeline = PipelineServiceStub(self._channel)
        self._answers = AnswerMethods(ask=self._queries.Ask, follow=self._queries.StreamAnswer)
        self._calls = Calls(
            tokens=TokenSource(token),
            ids=RequestIds(),
            policy=retry or RetryPolicy(),
            timeout=timeout,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection; open streams end, the queries behind them go on."""
        await self._channel.close(None)

    def ask(self, text: str, **options: Unpack[QuestionOptions]) -> AsyncAnswerStream:
        """Asks a question of up to 16,384 bytes; iterate over its events, or await `.answer()`."""
        timeout = options.get("timeout")
        seconds = _QUERY_SECONDS if timeout is None else timeout
        return AsyncAnswerStream(
            self._calls,
            self._answers,
            question=AskRequest(query=question(text, **options)),
            timeout=seconds + _GRACE_SECONDS,
        )

    async def submit(self, text: str, **options: Unpack[QuestionOptions]) -> Query:
        """Puts a question into the log and returns before it is answered."""
        query = question(text, **options)
        identified = self._calls.identify(query)
        return await self._calls.unary(self._queries.SubmitQuery, query, identified=identified)

    def follow(
        self, name: str, after_cursor: str = "", *, timeout: float | None = None
    ) -> AsyncAnswerStream:
        """Follows a query from its beginning, or behind a cursor, until it ends.

        An answer that is followed from a cursor lacks the passages that came before it.
        """
        return AsyncAnswerStream(
            self._calls,
            self._answers,
            query=name,
            after_cursor=after_cursor,
            timeout=_LONGEST_QUERY_SECONDS + _GRACE_SECONDS if timeout is None else timeout,
        )

    async def get_query(self, name: str) -> Query:
        """The query as its events up to now tell it."""
        return await self._calls.unary(self._queries.GetQuery, GetQueryRequest(name=name))

    async def cancel_query(self, name: str) -> Query:
        """Ends a query; one that had completed before stays so."""
        return await self._calls.unary(self._queries.CancelQuery, CancelQueryRequest(name=name))

    async def caller(self) -> Caller:
        """Who the server takes you for and what you may do."""
        return await self._calls.unary(self._queries.GetCaller, GetCallerRequest())

    async def ingest(
        self, collection: str, document_id: str, **fields: Unpack[DocumentFields]
    ) -> Document:
        """Brings a document's new version; returns its receipt once it is safe in the log.

        `wait_indexed(document.name, document.etag)` tells when questions find it.
        """
        request = NewDocument(collection, document_id, **fields).to_request()
        identified = self._calls.identify(request)
        return await self._calls.unary(
            self._documents.IngestDocument, request, identified=identified
        )

    def ingest_many(
        self, documents: Iterable[NewDocument] | AsyncIterable[NewDocument]
    ) -> AsyncGenerator[IngestOutcome]:
        """Brings in many documents over one stream; yields what became of each.

        At most 64 documents and about 16 MiB are under way; documents are taken from the
        iterable as receipts come in. An ordinary iterable is read in a thread.
        """
        feed = DocumentFeed(documents)
        return DocumentStream(self._calls, self._documents.StreamDocuments, feed).outcomes()

    async def get_document(self, name: str, etag: str = "") -> Document:
        """What is known of a document, of its newest version or the one that `etag` names."""
        request = GetDocumentRequest(name=name, etag=etag)
        return await self._calls.unary(self._documents.GetDocument, request)

    async def list_documents(
        self, collection: str, *, page_size: int = 0
    ) -> AsyncGenerator[Document]:
        """The documents of a collection, by name, over all pages."""
        request = ListDocumentsRequest(parent=collection_name(collection), page_size=page_size)
        while True:
            page = await self._calls.unary(self._documents.ListDocuments, request)
            for document in page.documents:
                yield document
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def update_document(self, name: str, **changes: Unpack[DocumentChanges]) -> Document:
        """Changes who may read a document, or its labels, without new content.

        Returns what was set, under its etag, once it is safe in the log; it holds for questions
        within seconds. Raises ValueError when nothing changes.
        """
        request = update_request(name, changes)
        identified = self._calls.identify(request)
        return await self._calls.unary(
            self._documents.UpdateDocument, request, identified=identified
        )

    async def delete_document(self, name: str, *, request_id: str = "") -> None:
        """Takes a document out, with all versions up to now; one that is not there is no error."""
        request = DeleteDocumentRequest(name=name, request_id=request_id)
        identified = self._calls.identify(request)
        await self._calls.unary(self._documents.DeleteDocument, request, identified=identified)

    async def wait_indexed(
        self,
        name: str,
        etag: str = "",
        timeout: float = WAIT_SECONDS,  # noqa: ASYNC109 - the error tells how far it came
    ) -> Document:
        """Waits until questions find a document's version; returns the document.

        Raises:
            DocumentFailed: they will not.
            DocumentSuperseded: another version took its place.
            DeadlineExceeded: `timeout` seconds went by before any of these.
        """
        watch = DocumentWatch(self._calls, self._documents.GetDocument)
        return await watch.indexed(name, etag, within=timeout)

    async def pipeline_status(self) -> PipelineStatus:
        """How far every stage is behind, and how fast it goes. Needs the scope `operate`.

        Lag and the other counts are of records, rates per second.
        """
        request = GetPipelineStatusRequest()
        return await self._calls.unary(self._pipeline.GetPipelineStatus, request)

    def watch_pipeline(self, interval: float = WATCH_SECONDS) -> AsyncGenerator[PipelineStatus]:
        """The status now, and again every `interval` seconds (1 to 60), until it is closed.

        A stream that breaks is opened again. Needs the scope `operate`.

        Raises:
            InvalidArgument: there is no such interval.
            ForebayError: no stream can be had within the retry policy's patience.
        """
        return PipelineWatch(self._calls, self._pipeline.WatchPipeline, interval).statuses()

    async def list_dead_letters(
        self,
        *,
        include_content: bool = False,
        page_size: int = 0,
        **options: Unpack[DeadLetterOptions],
    ) -> AsyncGenerator[DeadLetter]:
        """What stages gave up, newest first, over all pages; all of it without options.

        Needs the scope `operate`; with `include_content`, which brings the records' keys and
        values, also `inspect`. Pages hold 100 letters, or 10 with content, unless said.

        Raises:
            ValueError: a time knows no time zone, or no reason has this name.
        """
        request = ListDeadLettersRequest(
            filter=dead_letter_filter(**options),
            page_size=page_size,
            include_content=include_content,
        )
        while True:
            page = await self._calls.unary(self._pipeline.ListDeadLetters, request)
            for letter in page.dead_letters:
                yield letter
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def redrive_dead_letters(
        self,
        *,
        validate_only: bool = False,
        rate: float = 0.0,
        **selection: Unpack[SelectionOptions],
    ) -> RedriveDeadLettersResponse:
        """Gives records back to the stage that gave them up; returns once they are in the log.

        What belongs to a query is refused: its asker was told that it failed. Needs the scope
        `operate`. When the call breaks off, some may have gone back; calling again sends the rest.

        Args:
            validate_only: count, and change nothing.
            rate: how many records per second come back to the stage, up to 10,000; 10 when 0.
            selection: which letters; see SelectionOptions.

        Raises:
            ValueError: nothing, or a contradiction, says which letters.
        """
        request = RedriveDeadLettersRequest(validate_only=validate_only, rate=rate)
        if not select(request, **selection):
            return RedriveDeadLettersResponse()
        return await self._calls.unary(self._pipeline.RedriveDeadLetters, request)

    async def purge_dead_letters(
        self, *, validate_only: bool = False, **selection: Unpack[SelectionOptions]
    ) -> PurgeDeadLettersResponse:
        """Ends dead letters for good: their records are lost. Needs the scope `operate`.

        Args:
            validate_only: count, and change nothing.
            selection: which letters; see SelectionOptions.

        Raises:
            ValueError: nothing, or a contradiction, says which letters.
        """
        request = PurgeDeadLettersRequest(validate_only=validate_only)
        if not select(request, **selection):
            return PurgeDeadLettersResponse()
        return await self._calls.unary(self._pipeline.PurgeDeadLetters, request)
