"""A client's document with its defaults filled in and its rules checked."""

from __future__ import annotations

from forebay.ingest.v1 import Document, IngestDocumentRequest
from forebay.policy.v1 import Visibility
from forebay_server.errors import ClearanceTooLow, FieldInvalid, Violation

OUTPUT_FIELDS = ("etag", "state", "error", "superseded_by", "create_time", "update_time")
TEXT_TYPE = "text/plain"
BINARY_TYPES = frozenset({"application/pdf"})


def completed(request: IngestDocumentRequest, clearance: Visibility.ValueType) -> Document:
    """The document as the log keeps it.

    Raises FieldInvalid, and ClearanceTooLow when its visibility is above the writer's clearance.
    """
    document = Document()
    document.CopyFrom(request.document)
    for field in OUTPUT_FIELDS:
        document.ClearField(field)  # type: ignore[arg-type]
    document.name = _name(request)
    document.mime_type = _mime_type(document)
    document.visibility = document.visibility or Visibility.VISIBILITY_CONFIDENTIAL
    if document.visibility > clearance:
        raise ClearanceTooLow(clearance, document.visibility)
    _require_storable(document)
    return document


def _name(request: IngestDocumentRequest) -> str:
    name = f"{request.parent}/documents/{request.document_id}"
    if request.document.name not in ("", name):
        raise FieldInvalid(
            Violation("document.name", "name_matches", "must be empty or follow from the request")
        )
    return name


def _mime_type(document: Document) -> str:
    is_text = document.WhichOneof("content") == "text"
    if not document.mime_type and is_text:
        return TEXT_TYPE
    if not document.mime_type:
        raise FieldInvalid(
            Violation("document.mime_type", "required", "is required beside raw content")
        )
    if is_text and document.mime_type in BINARY_TYPES:
        raise FieldInvalid(
            Violation("document.mime_type", "content_matches", "does not fit content that is text")
        )
    return document.mime_type


def _require_storable(document: Document) -> None:
    """Refuse NUL: Postgres cannot hold it, and the version would fail after it was accepted."""
    fields = {
        "document.title": document.title,
        "document.text": document.text,
        "document.source_uri": document.source_uri,
    }
    fields |= {f"document.readers[{i}]": text for i, text in enumerate(document.readers)}
    fields |= {f'document.labels["{key}"]': text for key, text in document.labels.items()}
    for field, text in fields.items():
        if "\x00" in text:
            raise FieldInvalid(Violation(field, "no_nul", "must not hold a NUL character"))
