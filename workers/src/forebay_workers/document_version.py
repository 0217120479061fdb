"""Versions of documents as records carry them and as the catalogue takes them."""

from __future__ import annotations

from datetime import UTC
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from forebay.ingest.v1 import Document
from forebay.records.v1 import DocumentUpdate
from forebay_kafka.envelope import Envelope
from forebay_kafka.failure import error_info, status_of
from forebay_postgres.documents import AccessUpdate, DocumentKey, DocumentVersion, Failure


def document_key(envelope: Envelope) -> DocumentKey:
    """The document that an envelope speaks of."""
    _, collection, _, document_id = envelope.name.split("/")
    return DocumentKey(envelope.identity.tenant, collection, document_id)


def document_version(
    envelope: Envelope, version: str, document: Document, accept_time: Timestamp
) -> DocumentVersion:
    """A version without its content; visibility and readers are those that the edge signed."""
    key = document_key(envelope)
    return DocumentVersion(
        tenant=key.tenant,
        collection=key.collection,
        document_id=key.document_id,
        version=UUID(version),
        title=document.title,
        mime_type=document.mime_type,
        source_uri=document.source_uri,
        visibility=envelope.statement.visibility,
        readers=envelope.statement.readers,
        labels=dict(document.labels),
        accept_time=accept_time.ToDatetime(tzinfo=UTC),
        writer_clearance=envelope.identity.clearance,
    )


def access_update(envelope: Envelope, record: DocumentUpdate) -> AccessUpdate:
    """A change of access; what the record leaves out stays as it is."""
    access = record.access
    return AccessUpdate(
        key=document_key(envelope),
        version=UUID(record.version),
        accept_time=record.accept_time.ToDatetime(tzinfo=UTC),
        writer_clearance=envelope.identity.clearance,
        visibility=access.visibility if access.HasField("visibility") else None,
        readers=tuple(access.readers.groups) if access.HasField("readers") else None,
        labels=dict(access.labels.labels) if access.HasField("labels") else None,
    )


def failure_of(error: BaseException) -> Failure:
    """An error as the catalogue keeps it."""
    status = status_of(error)
    return Failure(status.code, error_info(status).reason, status.message)
