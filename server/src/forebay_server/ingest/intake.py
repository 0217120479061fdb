"""From a document that a client sends to the record that the log keeps."""

from __future__ import annotations

from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from forebay.ingest.v1 import Document, IngestDocumentRequest, UpdateDocumentRequest
from forebay.records.v1 import DocumentRecord, DocumentUpdate
from forebay_kafka.envelope import EnvelopeSigner, Statement
from forebay_kafka.partitioning import document_key, document_partition_key
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import record_type
from forebay_kafka.topics import topic_of
from forebay_server.acknowledgement import acknowledged
from forebay_server.clock import Clock, system_clock
from forebay_server.governance.caller import Call
from forebay_server.governance.shares import require_own
from forebay_server.ingest.access_change import access_change
from forebay_server.ingest.completion import completed
from forebay_server.limits.limiter import Limiter
from forebay_server.request_ids import RequestIds


class DocumentIntake:
    """Puts versions and changes of documents into the log, each sealed with its caller."""

    def __init__(
        self,
        publisher: Publisher,
        signer: EnvelopeSigner,
        request_ids: RequestIds,
        limiter: Limiter,
        clock: Clock = system_clock,
    ) -> None:
        self._publisher = publisher
        self._signer = signer
        self._request_ids = request_ids
        self._limiter = limiter
        self._clock = clock

    async def ingest(self, call: Call, request: IngestDocumentRequest) -> Document:
        """Write a version and return it, without its content, once all in-sync replicas have it.

        Raises CollectionReadOnly, ClearanceTooLow, FieldInvalid, RequestIdOutOfWindow,
        LimitReached, LogUnavailable or RecordTooLarge.
        """
        require_own(call.caller.grants, request.parent)
        version = self._request_ids.admit(request.request_id)
        document = completed(request, call.caller.clearance)
        await self._limiter.admit_document(call.caller)
        accept_time = self._now()
        record = DocumentRecord(
            name=document.name, version=str(version), document=document, accept_time=accept_time
        )
        statement = Statement(document.name, document.visibility, tuple(document.readers))
        await self._write(call, record, version, statement)
        return _receipt(document, version, accept_time)

    async def update(self, call: Call, request: UpdateDocumentRequest) -> Document:
        """Write a change of access and return what it sets, once all in-sync replicas have it.

        Raises CollectionReadOnly, ClearanceTooLow, RequestIdOutOfWindow, LogUnavailable or
        RecordTooLarge.
        """
        require_own(call.caller.grants, request.document.name)
        version = self._request_ids.admit(request.request_id)
        record = DocumentUpdate(
            name=request.document.name,
            version=str(version),
            access=access_change(request, call.caller.clearance),
            accept_time=self._now(),
        )
        await self._write(call, record, version, Statement(record.name))
        return _changed(record)

    async def delete(self, call: Call, name: str, request_id: str) -> None:
        """Write the end of a document; returns once all in-sync replicas have it.

        Raises CollectionReadOnly, RequestIdOutOfWindow or LogUnavailable.
        """
        require_own(call.caller.grants, name)
        version = self._request_ids.admit(request_id)
        record = DocumentUpdate(
            name=name,
            version=str(version),
            deletion=DocumentUpdate.Deletion(),
            accept_time=self._now(),
        )
        await self._write(call, record, version, Statement(name))

    async def _write(
        self,
        call: Call,
        record: DocumentRecord | DocumentUpdate,
        version: UUID,
        statement: Statement,
    ) -> None:
        value = record.SerializeToString()
        tenant = call.caller.tenant
        async with acknowledged(call):
            await self._publisher.publish_value(
                topic_of(record),
                value,
                key=document_key(tenant, record.name, str(version)),
                partition_key=document_partition_key(tenant, record.name),
                identity_token=self._seal(call, record, value, statement),
                trace_parent=call.trace_parent,
            )
        call.activity.logged = True

    def _seal(self, call: Call, record: Message, value: bytes, statement: Statement) -> bytes:
        kind = record_type(type(record))
        return self._signer.seal(call.caller.identity(), kind, value, statement)

    def _now(self) -> Timestamp:
        now = Timestamp()
        now.FromMilliseconds(int(self._clock() * 1000))
        return now


def _receipt(document: Document, version: UUID, accept_time: Timestamp) -> Document:
    return Document(
        name=document.name,
        title=document.title,
        mime_type=document.mime_type,
        visibility=document.visibility,
        readers=document.readers,
        labels=document.labels,
        source_uri=document.source_uri,
        etag=str(version),
        state=Document.STATE_ACCEPTED,
        update_time=accept_time,
    )


def _changed(record: DocumentUpdate) -> Document:
    access = record.access
    return Document(
        name=record.name,
        visibility=access.visibility,
        readers=access.readers.groups,
        labels=access.labels.labels,
        etag=record.version,
        state=Document.STATE_ACCEPTED,
        update_time=record.accept_time,
    )
