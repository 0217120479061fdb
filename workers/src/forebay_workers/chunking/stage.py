"""The chunking stage: documents into sets of chunks."""

from __future__ import annotations

import asyncio

from google.protobuf.message import Message

from forebay.ingest.v1 import Document
from forebay.query.v1 import Span
from forebay.records.v1 import ChunkSet, DocumentRecord, Stage
from forebay_kafka.failure import status_of
from forebay_kafka.partitioning import chunk_set_key, document_partition_key
from forebay_kafka.publisher import Publisher
from forebay_workers.chunking.chunk import Chunk
from forebay_workers.chunking.chunker import CHUNKING, chunk
from forebay_workers.parsing.errors import ParsingError
from forebay_workers.parsing.pool import ParserPool
from forebay_workers.record_loop.stage import Retry, Work
from forebay_workers.stage_failure import Rules, judged

RULES: Rules = {ParsingError: Retry.NEVER}  # the same bytes fail again


class Chunking:
    """Parses documents and cuts their text; what cannot be parsed becomes a set with an error."""

    stage = Stage.STAGE_CHUNKING
    reads: tuple[type[Message], ...] = (DocumentRecord,)

    def __init__(self, parsers: ParserPool, publisher: Publisher, window_tokens: int) -> None:
        self._parsers = parsers
        self._publisher = publisher
        self._window_tokens = window_tokens

    async def process(self, work: Work[DocumentRecord]) -> None:
        """Cut one version."""
        document = work.message.document
        content = document.raw if document.HasField("raw") else document.text.encode()
        with judged(RULES):
            parsed = await self._parsers.parse(document.mime_type, content)
            # Cutting 4 MiB of prose takes a second of processor time; others go on meanwhile.
            pieces = await asyncio.to_thread(chunk, parsed, self._window_tokens)
        chunk_set = _chunk_set(work.message)
        chunk_set.chunks.chunks.extend(_chunk(piece) for piece in pieces)
        await self._publish(work, chunk_set)

    async def give_up(self, work: Work[DocumentRecord], error: Exception) -> None:
        """Tell those who index that there is nothing to index, and why."""
        chunk_set = _chunk_set(work.message)
        chunk_set.error.CopyFrom(status_of(error))
        await self._publish(work, chunk_set)

    async def end(self, key: str) -> None:
        """End the chunks of a version that was deleted or replaced."""
        await self._publisher.tombstone(
            ChunkSet, key=f"{key}/{CHUNKING}", partition_key=key.rpartition("@")[0]
        )

    async def take_over(self, partitions: frozenset[int]) -> None:
        """Nothing is kept by partition."""

    async def release(self, partitions: frozenset[int]) -> None:
        """Nothing is kept by partition."""

    async def _publish(self, work: Work[DocumentRecord], chunk_set: ChunkSet) -> None:
        tenant, name = work.envelope.identity.tenant, chunk_set.name
        await self._publisher.publish(
            chunk_set,
            key=chunk_set_key(tenant, name, chunk_set.version, chunk_set.chunking),
            partition_key=document_partition_key(tenant, name),
            identity_token=work.identity_token,
            trace_parent=work.trace_parent,
        )


def _chunk_set(record: DocumentRecord) -> ChunkSet:
    described = Document()
    described.CopyFrom(record.document)
    described.ClearField("text")
    described.ClearField("raw")
    return ChunkSet(
        name=record.name,
        version=record.version,
        chunking=CHUNKING,
        document=described,
        accept_time=record.accept_time,
    )


def _chunk(piece: Chunk) -> ChunkSet.Chunk:
    return ChunkSet.Chunk(
        headings=piece.heading_path,
        text=piece.text,
        span=Span(start=piece.start, end=piece.end),
    )
