"""A real Postgres for the session, and a migrated database of its own for every test."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from forebay_postgres import (
    CatalogueReader,
    CatalogueWriter,
    DocumentKey,
    DocumentVersion,
    Index,
    IndexedPassage,
    IndexRegistry,
    IndexWriter,
    PostgresSettings,
    Retriever,
    migrate,
    open_retrieve_pool,
    open_write_pool,
)
from forebay_standalone.ports import free_port
from forebay_standalone.postgres_server import PostgresServer

MODEL, DIMENSIONS, CHUNKING = "words-3", 3, "chunking-1"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    # Not in pytest's own folder: it is closed to the account that Postgres runs as.
    with tempfile.TemporaryDirectory(prefix="forebay-postgres-") as folder:
        Path(folder).chmod(0o755)
        server = PostgresServer(Path(folder), free_port(), settings={"fsync": "off"})
        server.start()
        try:
            server.wait_ready()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    with running_server() as server:
        yield server


def settings_for(server: PostgresServer, database: str) -> PostgresSettings:
    def dsn(user: str, password: str) -> SecretStr:
        return SecretStr(server.dsn(user, password, database))

    return PostgresSettings(
        admin_dsn=SecretStr(make_conninfo(server.admin_dsn, dbname=database)),
        write_dsn=dsn("forebay_write", "write-secret"),
        retrieve_dsn=dsn("forebay_retrieve", "retrieve-secret"),
        write_password=SecretStr("write-secret"),
        retrieve_password=SecretStr("retrieve-secret"),
    )


def create_database(server: PostgresServer, template: str = "template1") -> str:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server.admin_dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    return name


@pytest.fixture(scope="session")
def template(server: PostgresServer) -> str:
    name = create_database(server)
    migrate(settings_for(server, name))
    return name


@pytest.fixture
def empty_settings(server: PostgresServer) -> PostgresSettings:
    return settings_for(server, create_database(server))


@pytest.fixture
def settings(server: PostgresServer, template: str) -> PostgresSettings:
    return settings_for(server, create_database(server, template))


@dataclass(frozen=True)
class Storage:
    settings: PostgresSettings
    catalogue: CatalogueWriter
    registry: IndexRegistry
    indexer: IndexWriter
    reader: CatalogueReader
    retriever: Retriever
    index: Index

    async def published(self, version: DocumentVersion, index_id: str = "") -> bool:
        """Whether an index, by default the serving one, holds exactly this version."""
        found = await self.indexer.look_up(version, index_id or self.index.id, MODEL, [])
        return found.published

    async def lost(self, version: DocumentVersion) -> bool:
        """Whether a version was replaced, deleted or refused."""
        return (await self.indexer.look_up(version, self.index.id, MODEL, [])).lost


@pytest.fixture
async def storage(settings: PostgresSettings) -> AsyncIterator[Storage]:
    write, retrieve = await open_write_pool(settings), await open_retrieve_pool(settings)
    registry = IndexRegistry(write)
    try:
        yield Storage(
            settings,
            CatalogueWriter(write),
            registry,
            IndexWriter(write),
            CatalogueReader(retrieve),
            Retriever(retrieve),
            await registry.ensure_serving_index(MODEL, DIMENSIONS, CHUNKING),
        )
    finally:
        await asyncio.gather(write.close(), retrieve.close())


@dataclass(frozen=True)
class Make:
    """Makes documents; `at` is a number of seconds, so that versions have an order to read."""

    key: DocumentKey = field(default=DocumentKey("acme", "default", "handbook"))

    def id(self, at: int) -> UUID:
        milliseconds = int((NOON + timedelta(seconds=at)).timestamp() * 1000)
        return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62)

    def version(
        self,
        at: int,
        key: DocumentKey | None = None,
        *,
        visibility: int = 1,
        readers: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        clearance: int = 3,
    ) -> DocumentVersion:
        named = key or self.key
        return DocumentVersion(
            tenant=named.tenant,
            collection=named.collection,
            document_id=named.document_id,
            version=self.id(at),
            title=f"Title {at}",
            mime_type="text/plain",
            source_uri=f"https://example.test/{at}",
            visibility=visibility,
            readers=tuple(readers),
            labels=labels or {},
            accept_time=NOON + timedelta(seconds=at),
            writer_clearance=clearance,
        )

    def passages(
        self, *texts: str, vectors: Sequence[Sequence[float]] | None = None
    ) -> list[IndexedPassage]:
        return [
            IndexedPassage(
                ordinal=ordinal,
                text=text,
                heading_path=("Chapter",),
                span_start=ordinal * 100,
                span_end=ordinal * 100 + len(text.encode()),
                text_sha256=hashlib.sha256(text.encode()).digest(),
                embedding=np.array(vectors[ordinal] if vectors else (1, 0, 0), np.float32),
            )
            for ordinal, text in enumerate(texts)
        ]


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture(scope="session")
def make_once() -> Make:
    return Make()


@pytest.fixture
def now() -> datetime:
    return NOON
