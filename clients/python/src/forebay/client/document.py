"""Documents on their way in, and what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypedDict

from forebay.client.errors import ForebayError
from forebay.ingest.v1 import Document, IngestDocumentRequest
from forebay.policy.v1 import Visibility

VisibilityName: TypeAlias = Literal["public", "internal", "confidential"]


class DocumentFields(TypedDict, total=False):
    """What a document brings beside its place; the keys of NewDocument.

    Keys:
        text: the content, when it is text; up to 4 MiB.
        raw: the content as bytes otherwise.
        title: what people call it.
        mime_type: text/plain, text/markdown, text/html or application/pdf.
        visibility: who may read it; confidential when None.
        readers: groups that may read it; everybody with the clearance when empty.
        labels: what questions may filter by.
        source_uri: where it came from.
        request_id: a UUIDv7 of your own, for a retry that outlives this process.
    """

    text: str | None
    raw: bytes | None
    title: str
    mime_type: str
    visibility: VisibilityName | Visibility.ValueType | None
    readers: Sequence[str]
    labels: Mapping[str, str]
    source_uri: str
    request_id: str


@dataclass(frozen=True)
class NewDocument:
    """A document's new version, or its first; DocumentFields says what the rest means.

    Attributes:
        collection: `handbook` or `collections/handbook`.
        document_id: `[a-z0-9-]{1,63}`, its id within the collection.
    """

    collection: str
    document_id: str
    text: str | None = None
    raw: bytes | None = None
    title: str = ""
    mime_type: str = ""
    visibility: VisibilityName | Visibility.ValueType | None = None
    readers: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    source_uri: str = ""
    request_id: str = ""

    def to_request(self) -> IngestDocumentRequest:
        """The contract's message.

        Raises:
            ValueError: there is not exactly one of text and raw.
        """
        if (self.text is None) == (self.raw is None):
            raise ValueError("a document has either text or raw")
        document = Document(
            title=self.title,
            mime_type=self.mime_type,
            visibility=visibility_value(self.visibility),
            readers=self.readers,
            labels=self.labels,
            source_uri=self.source_uri,
        )
        if self.text is not None:
            document.text = self.text
        if self.raw is not None:
            document.raw = self.raw
        return IngestDocumentRequest(
            parent=collection_name(self.collection),
            document_id=self.document_id,
            document=document,
            request_id=self.request_id,
        )


@dataclass(frozen=True)
class IngestOutcome:
    """What became of one of many documents: either `document` or `error`.

    Attributes:
        source: the document as it was given.
        document: its receipt, once it is safe in the log.
        error: why it was refused; nothing was written then.
    """

    source: NewDocument
    document: Document | None = None
    error: ForebayError | None = None


def collection_name(collection: str) -> str:
    """The resource name `collections/{collection}` of a name or a bare id."""
    return collection if collection.startswith("collections/") else f"collections/{collection}"


def visibility_value(
    visibility: VisibilityName | Visibility.ValueType | None,
) -> Visibility.ValueType:
    """The contract's value; unspecified, which is the narrowest, for None.

    Raises:
        ValueError: no visibility has this name.
    """
    if visibility is None:
        return Visibility.VISIBILITY_UNSPECIFIED
    if isinstance(visibility, str):
        return Visibility.Value(f"VISIBILITY_{visibility.upper()}")
    return visibility
