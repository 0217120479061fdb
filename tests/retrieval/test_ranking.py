"""How well questions find their passages in the real index: each ranking alone, and fused."""

import asyncio
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from forebay_postgres import (
    DocumentVersion,
    IndexedPassage,
    IndexRegistry,
    IndexWriter,
    Permissions,
    PostgresSettings,
    Ranking,
    Retriever,
    migrate,
    open_retrieve_pool,
    open_write_pool,
)
from forebay_standalone.ports import free_port
from forebay_standalone.postgres_server import PostgresServer
from forebay_workers.chunking.chunk import Chunk, embedding_text
from forebay_workers.chunking.chunker import CHUNKING, chunk
from forebay_workers.models.wordllama_embedding import WordllamaEmbedding
from forebay_workers.parsing.parsed_document import ParsedDocument, Section

LABELLED = json.loads((Path(__file__).parent / "labelled_set.json").read_text())
TENANT = "library"
FOUND_AMONG = 5


@pytest.fixture(scope="module")
def settings() -> Iterator[PostgresSettings]:
    # Not in pytest's own folder: it is closed to the account that Postgres runs as.
    with tempfile.TemporaryDirectory(prefix="forebay-retrieval-") as folder:
        Path(folder).chmod(0o755)
        server = PostgresServer(Path(folder), free_port(), settings={"fsync": "off"})
        server.start()
        try:
            server.wait_ready()
            settings = PostgresSettings(
                admin_dsn=SecretStr(server.admin_dsn),
                write_dsn=SecretStr(server.dsn("forebay_write", "write-secret")),
                retrieve_dsn=SecretStr(server.dsn("forebay_retrieve", "retrieve-secret")),
                write_password=SecretStr("write-secret"),
                retrieve_password=SecretStr("retrieve-secret"),
            )
            migrate(settings)
            yield settings
        finally:
            server.stop()


@pytest.fixture
async def retriever(settings: PostgresSettings) -> AsyncIterator[Retriever]:
    write, retrieve = await open_write_pool(settings), await open_retrieve_pool(settings)
    try:
        await fill(IndexRegistry(write), IndexWriter(write))
        yield Retriever(retrieve)
    finally:
        await asyncio.gather(write.close(), retrieve.close())


async def fill(registry: IndexRegistry, writer: IndexWriter) -> None:
    model = WordllamaEmbedding()
    index = await registry.ensure_serving_index(model.name, model.dimensions, CHUNKING)
    for number, passage in enumerate(LABELLED["passages"]):
        text = passage["text"]
        parsed = ParsedDocument(text, (Section((), 0, len(text.encode())),))
        pieces = chunk(parsed, model.window_tokens)
        version = version_of(passage["id"], passage["title"], number)
        await writer.publish(version, index.id, await passages_of(model, passage["title"], pieces))
    await model.close()


async def passages_of(
    model: WordllamaEmbedding, title: str, pieces: tuple[Chunk, ...]
) -> list[IndexedPassage]:
    texts = [embedding_text(title, piece) for piece in pieces]
    rows = await model.embed(texts)
    return [
        IndexedPassage(
            ordinal=piece.ordinal,
            text=piece.text,
            heading_path=piece.heading_path,
            span_start=piece.start,
            span_end=piece.end,
            text_sha256=hashlib.sha256(text.encode()).digest(),
            embedding=row,
        )
        for piece, text, row in zip(pieces, texts, rows, strict=True)
    ]


def version_of(document_id: str, title: str, number: int) -> DocumentVersion:
    return DocumentVersion(
        tenant=TENANT,
        collection="default",
        document_id=document_id,
        version=UUID(int=(number + 1) << 80 | 7 << 76 | 2 << 62),
        title=title,
        mime_type="text/plain",
        source_uri="",
        visibility=1,
        readers=(),
        labels={},
        accept_time=datetime(2026, 1, 31, tzinfo=UTC),
        writer_clearance=3,
    )


async def places(retriever: Retriever, ranking: Ranking) -> list[int]:
    """Where each question finds its passage, from 1; a place behind all where it does not."""
    model, index = WordllamaEmbedding(), await retriever.serving_index()
    found = []
    for question in LABELLED["questions"]:
        (row,) = await model.embed([question["text"]])
        passages = await retriever.search(
            Permissions(TENANT, 1), index, question["text"], row.tolist(), 10, ranking=ranking
        )
        documents = list(dict.fromkeys(passage.key.document_id for passage in passages))
        right = question["passage"]
        found.append(documents.index(right) + 1 if right in documents else len(documents) + 1)
    await model.close()
    return found


def share(places: list[int], among: int) -> float:
    return sum(place <= among for place in places) / len(places)


async def test_fused_ranking_is_as_good_as_each_alone_and_finds_95_percent_among_five(
    retriever: Retriever,
) -> None:
    table = {ranking: await places(retriever, ranking) for ranking in Ranking}
    print("\nranking    first   among five")
    for ranking, found in table.items():
        print(f"{ranking:9} {share(found, 1):6.1%} {share(found, FOUND_AMONG):12.1%}")
    fused = table[Ranking.HYBRID]
    for alone in (table[Ranking.VECTORS], table[Ranking.TEXT]):
        assert share(fused, 1) >= share(alone, 1)
        assert share(fused, FOUND_AMONG) >= share(alone, FOUND_AMONG)
    assert share(fused, FOUND_AMONG) >= 0.95
