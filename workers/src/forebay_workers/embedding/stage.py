"""The embedding stage: vectors for the chunks of a version, and the version into the index."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from forebay.records.v1 import ChunkSet, Stage
from forebay_kafka.failure import error_info
from forebay_kafka.partitioning import chunk_set_key, document_partition_key
from forebay_kafka.publisher import Publisher
from forebay_postgres.catalogue_writer import CatalogueWriter
from forebay_postgres.documents import DocumentVersion, Failure
from forebay_postgres.errors import (
    DatabaseUnavailable,
    IndexWithdrawn,
    ServingIndexMismatch,
    StatementTimedOut,
)
from forebay_postgres.index_writer import IndexedPassage, IndexWriter
from forebay_workers.chunking.chunk import Chunk, embedding_text
from forebay_workers.chunking.chunker import MOST_CHUNKS
from forebay_workers.document_version import document_version, failure_of
from forebay_workers.embedding.serving_index import ServingIndex
from forebay_workers.models.embedding_model import EmbeddingModel
from forebay_workers.models.errors import (
    ModelRefused,
    ModelReplyInvalid,
    ModelThrottled,
    ModelUnavailable,
)
from forebay_workers.models.paid_vectors import PaidVectors, Vector
from forebay_workers.parsing.errors import DocumentTooManyChunks
from forebay_workers.record_loop.stage import Retry, Work
from forebay_workers.stage_failure import For, Rules, judged

RULES: Rules = {
    # One version may be too slow to write. Three of the longest transactions are tried here, where
    # its vectors are remembered: whoever tries it later may have to pay for them again.
    StatementTimedOut: For(100.0),
    DatabaseUnavailable: Retry.UNTIL_BACK,  # nothing can be indexed without it
    IndexWithdrawn: Retry.UNTIL_BACK,
    ServingIndexMismatch: Retry.UNTIL_BACK,  # for an operator; not one version is at fault
    ModelThrottled: Retry.THROTTLED,
    ModelUnavailable: Retry.BRIEFLY,
    ModelRefused: Retry.NEVER,
    ModelReplyInvalid: Retry.NEVER,
    DocumentTooManyChunks: Retry.NEVER,
}
BATCH = 64  # texts of one call to the model: what hosted endpoints take without complaint


class Embedding:
    """Indexes versions whole; pays for a text once within a tenant."""

    stage = Stage.STAGE_EMBEDDING
    reads: tuple[type[Message], ...] = (ChunkSet,)

    def __init__(
        self,
        catalogue: CatalogueWriter,
        index_writer: IndexWriter,
        serving_index: ServingIndex,
        model: EmbeddingModel,
        publisher: Publisher,
    ) -> None:
        self._catalogue = catalogue
        self._writer = index_writer
        self._index = serving_index
        self._model = model
        self._publisher = publisher
        self._paid = PaidVectors()

    async def process(self, work: Work[ChunkSet]) -> None:
        """Index a version, or note why there is nothing to index; end it where it has lost."""
        with judged(RULES):
            if work.message.WhichOneof("outcome") == "error":
                stands = await self._fail(work, _failure(work.message.error))
            else:
                stands = await self._index_version(work)
        if not stands:
            await self._end(work)

    async def give_up(self, work: Work[ChunkSet], error: Exception) -> None:
        """Note in the catalogue why the version will not be found."""
        with judged(RULES):
            stands = await self._fail(work, failure_of(error))
        if not stands:
            await self._end(work)

    async def take_over(self, partitions: frozenset[int]) -> None:
        """Make sure of the index first: with a wrong model not one record may be given up."""
        await self._index.id()

    async def release(self, partitions: frozenset[int]) -> None:
        """Nothing is kept by partition."""

    async def _fail(self, work: Work[ChunkSet], failure: Failure) -> bool:
        return (await self._catalogue.fail(_version(work), failure)).accepted

    async def _end(self, work: Work[ChunkSet]) -> None:
        # Chunking ended it with its document; a retry of chunking may have come behind that.
        tenant, record = work.envelope.identity.tenant, work.message
        await self._publisher.tombstone(
            ChunkSet,
            key=chunk_set_key(tenant, record.name, record.version, record.chunking),
            partition_key=document_partition_key(tenant, record.name),
        )

    async def _index_version(self, work: Work[ChunkSet]) -> bool:
        """Return whether the version stands: it was not replaced, deleted or refused by now."""
        index_id = await self._index.id()
        version, chunk_set = _version(work), work.message
        if len(chunk_set.chunks.chunks) > MOST_CHUNKS:  # the log keeps what was once cut otherwise
            raise DocumentTooManyChunks(MOST_CHUNKS)
        title = chunk_set.document.title
        texts = [embedding_text(title, piece) for piece in _pieces(chunk_set)]
        hashes = [hashlib.sha256(text.encode()).digest() for text in texts]
        present = await self._writer.look_up(version, index_id, self._model.name, set(hashes))
        if present.lost or present.published:
            return not present.lost
        vectors = await self._vectors(version.tenant, texts, hashes, present.vectors)
        passages = _passages(chunk_set, hashes, vectors)
        try:
            verdict = await self._writer.publish(version, index_id, passages)
        except IndexWithdrawn:
            self._index.forget()
            raise
        self._paid.used(version.tenant, hashes)
        return verdict.accepted

    async def _vectors(
        self,
        tenant: str,
        texts: Sequence[str],
        hashes: Sequence[bytes],
        known: dict[bytes, Vector],
    ) -> dict[bytes, Vector]:
        known.update(self._paid.known(tenant, set(hashes) - known.keys()))
        by_hash = dict(zip(hashes, texts, strict=True))
        missing = [(digest, text) for digest, text in by_hash.items() if digest not in known]
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            rows = await self._model.embed([text for _, text in batch])
            for (digest, _), row in zip(batch, rows, strict=True):
                self._paid.keep(tenant, digest, row)
                known[digest] = row
        return known


def _version(work: Work[ChunkSet]) -> DocumentVersion:
    record = work.message
    return document_version(work.envelope, record.version, record.document, record.accept_time)


def _failure(status: Status) -> Failure:
    return Failure(status.code, error_info(status).reason, status.message)


def _pieces(chunk_set: ChunkSet) -> list[Chunk]:
    return [
        Chunk(ordinal, tuple(piece.headings), piece.text, piece.span.start, piece.span.end)
        for ordinal, piece in enumerate(chunk_set.chunks.chunks)
    ]


def _passages(
    chunk_set: ChunkSet, hashes: Sequence[bytes], vectors: dict[bytes, Vector]
) -> list[IndexedPassage]:
    return [
        IndexedPassage(
            ordinal=piece.ordinal,
            text=piece.text,
            heading_path=piece.heading_path,
            span_start=piece.start,
            span_end=piece.end,
            text_sha256=digest,
            embedding=vectors[digest],
        )
        for piece, digest in zip(_pieces(chunk_set), hashes, strict=True)
    ]
