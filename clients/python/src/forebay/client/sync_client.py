"""The client for code without an event loop.

It drives the asyncio client in a thread of its own. Retries, resumption and the window of a
document stream are concurrent by nature: written twice they would drift apart, and without an
event loop the document stream would need threads of its own anyway. The price is one hand-over
between two threads per call or event, tens of microseconds beside a network.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Self, Unpack

from forebay.client.answer import Answer
from forebay.client.async_answer_stream import AsyncAnswerStream
from forebay.client.async_client import (
    CALL_SECONDS,
    WAIT_SECONDS,
    WATCH_SECONDS,
    AsyncClient,
)
from forebay.client.credentials import Tls, Token
from forebay.client.dead_letters import DeadLetterOptions, SelectionOptions
from forebay.client.document import DocumentFields, IngestOutcome, NewDocument
from forebay.client.document_change import DocumentChanges
from forebay.client.portal import Portal
from forebay.client.question import QuestionOptions
from forebay.client.retry import RetryPolicy
from forebay.ingest.v1 import Document
from forebay.pipeline.v1 import (
    DeadLetter,
    PipelineStatus,
    PurgeDeadLettersResponse,
    RedriveDeadLettersResponse,
)
from forebay.query.v1 import AnswerEvent, Caller, Query


class AnswerStream(Iterator[AnswerEvent]):
    """The events of one query; see AsyncAnswerStream."""

    def __init__(self, portal: Portal, stream: AsyncAnswerStream) -> None:
        self._portal = portal
        self._stream = stream

    @property
    def query(self) -> str:
        """The query's name; empty until the first event told it."""
        return self._stream.query

    @property
    def cursor(self) -> str:
        """Behind the last event that was returned."""
        return self._stream.cursor

    def answer(self) -> Answer:
        """Reads what is left and returns the whole answer.

        Raises:
            QueryFailed: the query ended without an answer.
            QueryCancelled: somebody cancelled it.
            FailedPrecondition: the stream began behind the query's end.
            ForebayError: the stream ended and cannot be resumed.
        """
        return self._portal.call(self._stream.answer())

    def __next__(self) -> AnswerEvent:
        try:
            return self._portal.call(self._stream.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """Stops reading; cancels nothing."""
        self._portal.call(self._stream.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Client:
    """Asks questions, brings documents in, and looks after the pipeline, without an event loop.

    May be used from many threads. Ctrl-C interrupts whatever waits.
    """

    def __init__(
        self,
        target: str,
        token: Token,
        *,
        tls: Tls = None,
        timeout: float = CALL_SECONDS,
        retry: RetryPolicy | None = None,
    ) -> None:
        """See AsyncClient for the arguments."""
        self._portal = Portal()
        try:
            opening = _open(
                lambda: AsyncClient(target, token, tls=tls, timeout=timeout, retry=retry)
            )
            self._client = self._portal.call(opening)
        except BaseException:
            self._portal.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection and the thread; open streams end, their queries go on."""
        if not self._portal.closed:
            self._portal.call(self._client.close())
            self._portal.close()

    def ask(self, text: str, **options: Unpack[QuestionOptions]) -> AnswerStream:
        """Asks a question of up to 16,384 bytes; iterate over its events, or call `.answer()`."""
        return AnswerStream(self._portal, self._client.ask(text, **options))

    def submit(self, text: str, **options: Unpack[QuestionOptions]) -> Query:
        """Puts a question into the log and returns before it is answered."""
        return self._portal.call(self._client.submit(text, **options))

    def follow(
        self, name: str, after_cursor: str = "", *, timeout: float | None = None
    ) -> AnswerStream:
        """Follows a query from its beginning, or behind a cursor, until it ends."""
        stream = self._client.follow(name, after_cursor, timeout=timeout)
        return AnswerStream(self._portal, stream)

    def get_query(self, name: str) -> Query:
        """The query as its events up to now tell it."""
        return self._portal.call(self._client.get_query(name))

    def cancel_query(self, name: str) -> Query:
        """Ends a query; one that had completed before stays so."""
        return self._portal.call(self._client.cancel_query(name))

    def caller(self) -> Caller:
        """Who the server takes you for and what you may do."""
        return self._portal.call(self._client.caller())

    def ingest(
        self, collection: str, document_id: str, **fields: Unpack[DocumentFields]
    ) -> Document:
        """Brings a document's new version; returns its receipt once it is safe in the log."""
        return self._portal.call(self._client.ingest(collection, document_id, **fields))

    def ingest_many(self, documents: Iterable[NewDocument]) -> Generator[IngestOutcome]:
        """Brings in many documents over one stream; yields what became of each.

        The iterable is read in another thread, at most 64 documents ahead of their outcomes.
        """
        return self._portal.iterate(self._client.ingest_many(documents))

    def get_document(self, name: str, etag: str = "") -> Document:
        """What is known of a document, of its newest version or the one that `etag` names."""
        return self._portal.call(self._client.get_document(name, etag))

    def list_documents(self, collection: str, *, page_size: int = 0) -> Generator[Document]:
        """The documents of a collection, by name, over all pages."""
        pages = self._client.list_documents(collection, page_size=page_size)
        return self._portal.iterate(pages)

    def update_document(self, name: str, **changes: Unpack[DocumentChanges]) -> Document:
        """Changes who may read a document, or its labels; see AsyncClient."""
        return self._portal.call(self._client.update_document(name, **changes))

    def delete_document(self, name: str, *, request_id: str = "") -> None:
        """Takes a document out, with all versions up to now; one that is not there is no error."""
        self._portal.call(self._client.delete_document(name, request_id=request_id))

    def wait_indexed(self, name: str, etag: str = "", timeout: float = WAIT_SECONDS) -> Document:
        """Waits until questions find a document's version; see AsyncClient."""
        return self._portal.call(self._client.wait_indexed(name, etag, timeout))

    def pipeline_status(self) -> PipelineStatus:
        """How far every stage is behind, and how fast it goes. Needs the scope `operate`."""
        return self._portal.call(self._client.pipeline_status())

    def watch_pipeline(self, interval: float = WATCH_SECONDS) -> Generator[PipelineStatus]:
        """The status now, and again every `interval` seconds (1 to 60), until it is closed."""
        return self._portal.iterate(self._client.watch_pipeline(interval))

    def list_dead_letters(
        self,
        *,
        include_content: bool = False,
        page_size: int = 0,
        **options: Unpack[DeadLetterOptions],
    ) -> Generator[DeadLetter]:
        """What stages gave up, newest first, over all pages; see AsyncClient."""
        letters = self._client.list_dead_letters(
            include_content=include_content, page_size=page_size, **options
        )
        return self._portal.iterate(letters)

    def redrive_dead_letters(
        self,
        *,
        validate_only: bool = False,
        rate: float = 0.0,
        **selection: Unpack[SelectionOptions],
    ) -> RedriveDeadLettersResponse:
        """Gives records back to the stage that gave them up; see AsyncClient."""
        return self._portal.call(
            self._client.redrive_dead_letters(validate_only=validate_only, rate=rate, **selection)
        )

    def purge_dead_letters(
        self, *, validate_only: bool = False, **selection: Unpack[SelectionOptions]
    ) -> PurgeDeadLettersResponse:
        """Ends dead letters for good: their records are lost; see AsyncClient."""
        return self._portal.call(
            self._client.purge_dead_letters(validate_only=validate_only, **selection)
        )


async def _open(client: Callable[[], AsyncClient]) -> AsyncClient:
    """The channel belongs to the loop in which it is opened."""
    return client()
