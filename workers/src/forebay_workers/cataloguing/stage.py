"""The cataloguing stage: documents and their updates into the catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC
from uuid import UUID

from google.protobuf.message import Message

from forebay.records.v1 import DocumentRecord, DocumentUpdate, Stage
from forebay_kafka.envelope import Envelope
from forebay_kafka.errors import RecordInvalid
from forebay_kafka.partitioning import document_key as record_key
from forebay_kafka.partitioning import document_partition_key
from forebay_kafka.publisher import Publisher
from forebay_postgres.catalogue_writer import CatalogueWriter
from forebay_postgres.documents import DocumentVersion, Verdict
from forebay_postgres.errors import DatabaseUnavailable, StatementTimedOut
from forebay_workers.document_version import (
    access_update,
    document_key,
    document_version,
    failure_of,
)
from forebay_workers.record_loop.stage import Retry, Work
from forebay_workers.stage_failure import Rules, judged

RULES: Rules = {
    StatementTimedOut: Retry.BRIEFLY,  # it answers others: this document's row is locked
    DatabaseUnavailable: Retry.UNTIL_BACK,  # nothing can be catalogued without it
}


class Cataloguing:
    """Keeps the newest version of every document and ends what it replaces in the log."""

    stage = Stage.STAGE_CATALOGUING
    reads: tuple[type[Message], ...] = (DocumentRecord, DocumentUpdate)

    def __init__(self, catalogue: CatalogueWriter, publisher: Publisher) -> None:
        self._catalogue = catalogue
        self._publisher = publisher

    async def process(self, work: Work[Message]) -> None:
        """Catalogue one record and end the versions that have lost."""
        with judged(RULES):
            verdict = await self._write(work)
        await self._end(work.envelope, verdict.lost)

    async def give_up(self, work: Work[Message], error: Exception) -> None:
        """Note in the catalogue why a version will not be found."""
        if isinstance(work.message, DocumentRecord):
            with judged(RULES):
                version, failure = _version(work, work.message), failure_of(error)
                verdict = await self._catalogue.fail(version, failure)
            await self._end(work.envelope, verdict.lost)

    async def take_over(self, partitions: frozenset[int]) -> None:
        """Nothing is kept by partition."""

    async def release(self, partitions: frozenset[int]) -> None:
        """Nothing is kept by partition."""

    async def _write(self, work: Work[Message]) -> Verdict:
        message = work.message
        if isinstance(message, DocumentRecord):
            return await self._catalogue.accept(_version(work, message))
        if isinstance(message, DocumentUpdate):
            return await self._update(work.envelope, message)
        raise TypeError(f"cataloguing does not read {type(message).__name__}")

    async def _update(self, envelope: Envelope, record: DocumentUpdate) -> Verdict:
        match record.WhichOneof("change"):
            case "deletion":
                return await self._catalogue.delete(
                    document_key(envelope),
                    UUID(record.version),
                    writer_clearance=envelope.identity.clearance,
                    accept_time=record.accept_time.ToDatetime(tzinfo=UTC),
                )
            case "access":
                return await self._catalogue.update(access_update(envelope, record))
            case _:
                raise RecordInvalid("the update says nothing that this worker knows")

    async def _end(self, envelope: Envelope, versions: Sequence[UUID]) -> None:
        if not versions:
            return
        tenant, name = envelope.identity.tenant, envelope.name
        tombstones = (
            self._publisher.tombstone(
                DocumentRecord,
                key=record_key(tenant, name, str(version)),
                partition_key=document_partition_key(tenant, name),
            )
            for version in versions
        )
        await asyncio.gather(*tombstones)
        with judged(RULES):
            await self._catalogue.end(document_key(envelope), versions)


def _version(work: Work[Message], record: DocumentRecord) -> DocumentVersion:
    return document_version(work.envelope, record.version, record.document, record.accept_time)
