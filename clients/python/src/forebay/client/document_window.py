"""The documents of a stream that have no receipt yet: bounded, in order, none forgotten."""

from collections import deque
from dataclasses import dataclass

from forebay.client.calls import Identified
from forebay.client.document import NewDocument
from forebay.ingest.v1 import IngestDocumentRequest, StreamDocumentsRequest

_DOCUMENTS = 64  # what the contract lets a server read ahead
_BYTES = 16 * 1024 * 1024  # four of the largest documents; enough to keep a fast link busy


@dataclass(frozen=True)
class Pending:
    """A document without a receipt, and its request if its id is ours to renew."""

    source: NewDocument
    request: IngestDocumentRequest
    identified: Identified | None
    size: int


class DocumentWindow:
    """Holds what was taken from the source until it is settled."""

    def __init__(self) -> None:
        self._unsent: deque[Pending] = deque()
        self._sent: dict[int, Pending] = {}
        self._refused: list[Pending] = []
        self._sequence = 0
        self._bytes = 0

    @property
    def has_room(self) -> bool:
        """Whether another document may be taken from the source."""
        held = len(self._unsent) + len(self._sent) + len(self._refused)
        return held < _DOCUMENTS and self._bytes < _BYTES

    @property
    def has_unsent(self) -> bool:
        """Whether a document waits to be sent on this stream."""
        return bool(self._unsent)

    @property
    def has_sent(self) -> bool:
        """Whether a receipt is due on this stream."""
        return bool(self._sent)

    @property
    def refused(self) -> tuple[Pending, ...]:
        """What is to be sent again on the next stream."""
        return tuple(self._refused)

    def begin_stream(self) -> None:
        """A new stream: everything without a receipt is sent again, in its former order."""
        again = [*self._refused, *self._sent.values()]
        # The order of their ids is the order in which versions of one document were given.
        again.sort(key=lambda pending: pending.request.request_id)
        self._unsent.extendleft(reversed(again))
        self._refused.clear()
        self._sent.clear()
        self._sequence = 0

    def take(self, pending: Pending) -> None:
        """A document from the source."""
        self._unsent.append(pending)
        self._bytes += pending.size

    def send(self) -> StreamDocumentsRequest:
        """The next request; a receipt is due for it from now on."""
        self._sequence += 1
        pending = self._unsent.popleft()
        self._sent[self._sequence] = pending
        return StreamDocumentsRequest(sequence=self._sequence, ingest=pending.request)

    def receipt(self, sequence: int) -> Pending | None:
        """The document that a receipt is for; None if none is due under that number."""
        return self._sent.get(sequence)

    def settle(self, sequence: int) -> None:
        """The document needs nothing more."""
        self._bytes -= self._sent.pop(sequence).size

    def refuse(self, sequence: int) -> None:
        """The document is to be sent again on the next stream."""
        self._refused.append(self._sent.pop(sequence))
