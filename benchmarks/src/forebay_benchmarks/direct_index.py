"""The baseline of indexed documents: cut, embed and insert, one after another in one process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from time import perf_counter
from uuid import UUID, uuid4

from pydantic import SecretStr

from forebay.ingest.v1 import IngestDocumentRequest
from forebay.policy.v1 import Visibility
from forebay_benchmarks.child import AsyncMeasure
from forebay_benchmarks.document_source import DocumentSource
from forebay_benchmarks.samples import Sample
from forebay_postgres import (
    DocumentVersion,
    IndexedPassage,
    IndexRegistry,
    IndexWriter,
    PostgresSettings,
    open_write_pool,
)
from forebay_workers.chunking.chunk import embedding_text
from forebay_workers.chunking.chunker import CHUNKING, chunk
from forebay_workers.models.wordllama_embedding import WordllamaEmbedding
from forebay_workers.parsing.plain_text import parse_plain_text

_PARSED_BYTES = 1 << 20


@dataclass(frozen=True)
class DirectIndex:
    """Where documents go, whose they are, how large they are (bytes), how many make a batch."""

    write_dsn: str
    tenant: str
    document_bytes: int
    batch: int


@asynccontextmanager
async def direct_index(config: DirectIndex) -> AsyncIterator[AsyncMeasure]:
    """Yield what measures indexed documents; the latency of each is that of its batch."""
    pool = await open_write_pool(PostgresSettings(write_dsn=SecretStr(config.write_dsn)))
    model = WordllamaEmbedding()
    writer = IndexWriter(pool)
    index = await IndexRegistry(pool).ensure_serving_index(model.name, model.dimensions, CHUNKING)
    source = DocumentSource(config.document_bytes)

    async def batch() -> float:
        began = perf_counter()
        collection = f"collections/{uuid4().hex}"
        for _ in range(config.batch):
            request = source.next(collection)
            passages = await _passages(model, request)
            await writer.publish(_version(config.tenant, request), index.id, passages)
        return perf_counter() - began

    async def measure(seconds: float) -> Sample:
        began = perf_counter()
        latencies: list[float] = []
        while perf_counter() - began < seconds:
            latencies += [await batch()] * config.batch
        return Sample(perf_counter() - began, tuple(latencies))

    try:
        yield measure
    finally:
        await model.close()
        await pool.close()


async def _passages(
    model: WordllamaEmbedding, request: IngestDocumentRequest
) -> list[IndexedPassage]:
    parsed = parse_plain_text(request.document.text.encode(), _PARSED_BYTES)
    pieces = chunk(parsed, model.window_tokens)
    texts = [embedding_text(request.document.title, piece) for piece in pieces]
    rows = await model.embed(texts)
    return [
        IndexedPassage(
            ordinal=piece.ordinal,
            text=piece.text,
            heading_path=piece.heading_path,
            span_start=piece.start,
            span_end=piece.end,
            text_sha256=sha256(text.encode()).digest(),
            embedding=row,
        )
        for piece, text, row in zip(pieces, texts, rows, strict=True)
    ]


def _version(tenant: str, request: IngestDocumentRequest) -> DocumentVersion:
    return DocumentVersion(
        tenant=tenant,
        collection=request.parent.removeprefix("collections/"),
        document_id=request.document_id,
        version=UUID(request.request_id),
        title=request.document.title,
        mime_type=request.document.mime_type,
        source_uri="",
        visibility=Visibility.VISIBILITY_CONFIDENTIAL,
        readers=(),
        labels={},
        accept_time=datetime.now(UTC),
        writer_clearance=Visibility.VISIBILITY_CONFIDENTIAL,
    )
