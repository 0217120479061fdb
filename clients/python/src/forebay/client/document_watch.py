"""Waits until a document's version is found by questions."""

import asyncio
import random

import grpc.aio

from forebay.client.calls import Calls, now
from forebay.client.errors import DeadlineExceeded, DocumentFailed, DocumentSuperseded, NotFound
from forebay.client.failure import failure_of_status
from forebay.ingest.v1 import Document, GetDocumentRequest

_FIRST_PAUSE = 0.05  # a small document is indexed within tens of milliseconds
_LONGEST_PAUSE = 1.0
_GROWTH = 1.5  # by 2 a document in a busy system was seen at twice its time


class DocumentWatch:
    """Asks for a document, ever less often, until its version has come to an end."""

    def __init__(
        self,
        calls: Calls,
        get_document: "grpc.aio.UnaryUnaryMultiCallable[GetDocumentRequest, Document]",
    ) -> None:
        self._calls = calls
        self._get_document = get_document

    async def indexed(self, name: str, etag: str, within: float) -> Document:
        """The document, INDEXED.

        Raises:
            DocumentFailed: its version will not be found.
            DocumentSuperseded: another version took its place.
            DeadlineExceeded: `within` seconds went by before any of these.
        """
        deadline = now() + within
        pause = _FIRST_PAUSE
        state = "not known"
        while (left := deadline - now()) > 0:
            document = await self._look(name, etag, left)
            if document is not None:
                if _is_indexed(document):
                    return document
                state = Document.State.Name(document.state).removeprefix("STATE_")
            await asyncio.sleep(min(pause * (0.5 + random.random() / 2), left))  # noqa: S311
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)
        raise DeadlineExceeded(f"{name} is {state} after {within:g} s")

    async def _look(self, name: str, etag: str, left: float) -> Document | None:
        request = GetDocumentRequest(name=name, etag=etag)
        try:
            return await self._calls.unary(self._get_document, request, timeout=left)
        except NotFound:
            # Accepted a moment ago: the catalogue may not know it yet.
            return None


def _is_indexed(document: Document) -> bool:
    match document.state:
        case Document.State.STATE_FAILED:
            raise DocumentFailed(document, failure_of_status(document.error))
        case Document.State.STATE_SUPERSEDED:
            raise DocumentSuperseded(document)
        case state:
            return state == Document.State.STATE_INDEXED
