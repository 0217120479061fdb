"""Documents to bring in: equal in size, different in content, each with a name of its own."""

import itertools

from forebay.client.request_id import RequestIds
from forebay.ingest.v1 import Document, IngestDocumentRequest
from forebay_benchmarks.prose import document_text


class DocumentSource:
    """Makes one document after another."""

    def __init__(self, size: int) -> None:
        """Make documents of about `size` bytes."""
        self._size = size
        self._ids = RequestIds()
        self._numbers = itertools.count()

    def next(self, parent: str) -> IngestDocumentRequest:
        """The next document, for a collection (`collections/…`)."""
        number = next(self._numbers)
        return IngestDocumentRequest(
            parent=parent,
            document_id=f"d-{number}",
            document=Document(
                title=f"Record {number}",
                mime_type="text/plain",
                text=document_text(number, self._size),
            ),
            request_id=self._ids.new(),
        )
