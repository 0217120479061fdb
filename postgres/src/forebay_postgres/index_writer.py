"""What indexing writes: the passages of one version, all at once or not at all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pgvector import Vector

from forebay_postgres.catalogue_writer import accept_locked
from forebay_postgres.documents import DocumentVersion, Verdict
from forebay_postgres.errors import WrongDimensions
from forebay_postgres.indexes import Index, read_index_to_publish
from forebay_postgres.pool import Connection, Pool
from forebay_postgres.stored_text import require_all_storable, require_storable

_OF_DOCUMENT = "index_id = %s AND tenant = %s AND collection = %s AND document_id = %s"
_HAS_LOST = """
    SELECT FROM forebay.documents
    WHERE tenant = %(tenant)s AND collection = %(collection)s AND document_id = %(document)s
      AND (newest_version > %(version)s OR deleted_version >= %(version)s)
    UNION ALL
    SELECT FROM forebay.versions_refused
    WHERE tenant = %(tenant)s AND collection = %(collection)s AND document_id = %(document)s
      AND version = %(version)s
"""
_IS_PUBLISHED = f"SELECT FROM forebay.publications WHERE {_OF_DOCUMENT} AND version = %s"
_REMOVE = f"DELETE FROM forebay.passages WHERE {_OF_DOCUMENT}"  # noqa: S608 (constants)
_PUBLISH = """
    INSERT INTO forebay.publications (index_id, tenant, collection, document_id, version)
    VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (index_id, tenant, collection, document_id) DO UPDATE
    SET version = excluded.version, held_visibility = NULL, held_readers = NULL,
        publish_time = excluded.publish_time
"""
# COPY cannot write to a table under row-level security; executemany pipelines instead.
_INSERT = """
    INSERT INTO forebay.passages
        (index_id, tenant, collection, document_id, version, ordinal, content, heading_path,
         span_start, span_end, text_sha256, embedding)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %b)
"""
_KNOWN = """
    SELECT DISTINCT ON (text_sha256) text_sha256, embedding
    FROM forebay.passages
    JOIN forebay.indexes ON indexes.id = passages.index_id
    WHERE tenant = %s AND text_sha256 = ANY(%s) AND embedding_model = %s
"""
Embedding: TypeAlias = NDArray[np.float32]  # 4 bytes a number; Python's own take 32


@dataclass(frozen=True, slots=True)
class IndexedPassage:
    """One passage with its vector. The span is in UTF-8 bytes of the parsed document.

    `text_sha256` is the digest (32 bytes) of what was embedded: equal digests share a vector.
    """

    ordinal: int
    text: str
    heading_path: tuple[str, ...]
    span_start: int
    span_end: int
    text_sha256: bytes
    embedding: Embedding


@dataclass(frozen=True, slots=True)
class Present:
    """What there is of a version before it is indexed.

    `lost` says whether it was replaced, deleted or refused; `published` whether the index holds
    exactly this version; `vectors` are those that the tenant has paid for, by the digest of their
    text.
    """

    lost: bool
    published: bool
    vectors: dict[bytes, Embedding]


class IndexWriter:
    """Writes passages under role forebay_write; every call is one transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def look_up(
        self, version: DocumentVersion, index_id: str, model: str, hashes: Iterable[bytes]
    ) -> Present:
        """Return what is there of a version already, so that nothing is done or paid for twice.

        Vectors never cross tenants: whether one is known would tell what another tenant stores.
        """
        document = (index_id, version.tenant, version.collection, version.document_id)
        async with (
            self._pool.transaction(version.tenant, pipelined=True) as connection,
            connection.cursor() as losses,
            connection.cursor() as publications,
            connection.cursor(binary=True) as vectors,
        ):
            await losses.execute(_HAS_LOST, _parameters(version))
            await publications.execute(_IS_PUBLISHED, (*document, version.version))
            await vectors.execute(_KNOWN, (version.tenant, list(hashes), model))
            return Present(
                lost=await losses.fetchone() is not None,
                published=await publications.fetchone() is not None,
                vectors={digest: vector.to_numpy() async for digest, vector in vectors},
            )

    async def publish(
        self, version: DocumentVersion, index_id: str, passages: Sequence[IndexedPassage]
    ) -> Verdict:
        """Replace what the index holds of this document by the passages of `version`.

        One transaction under the lock of the head row: readers see the former version or this
        one. Nothing is published when the verdict is not ACCEPTED. Raises IndexWithdrawn,
        WrongDimensions and InvalidStoredText.
        """
        _require_storable(passages)
        async with self._pool.transaction(version.tenant, pipelined=True) as connection:
            index = await read_index_to_publish(connection, index_id)
            _require_dimensions(index, passages)
            verdict = await accept_locked(connection, version)
            if verdict.accepted:
                await _replace(connection, index_id, version, passages)
            return verdict


def _parameters(version: DocumentVersion) -> dict[str, object]:
    key = version.key
    return {
        "tenant": key.tenant,
        "collection": key.collection,
        "document": key.document_id,
        "version": version.version,
    }


async def _replace(
    connection: Connection,
    index_id: str,
    version: DocumentVersion,
    passages: Sequence[IndexedPassage],
) -> None:
    document = (index_id, version.tenant, version.collection, version.document_id)
    async with connection.cursor() as cursor:
        await connection.execute(_REMOVE, document)
        await connection.execute(_PUBLISH, (*document, version.version))
        await cursor.executemany(
            _INSERT, ((*document, version.version, *_row(passage)) for passage in passages)
        )


def _row(passage: IndexedPassage) -> tuple[object, ...]:
    return (
        passage.ordinal,
        passage.text,
        list(passage.heading_path),
        passage.span_start,
        passage.span_end,
        passage.text_sha256,
        Vector(passage.embedding),
    )


def _require_storable(passages: Sequence[IndexedPassage]) -> None:
    for passage in passages:
        require_storable(f"passages[{passage.ordinal}].text", passage.text)
        require_all_storable(f"passages[{passage.ordinal}].heading_path", passage.heading_path)


def _require_dimensions(index: Index, passages: Sequence[IndexedPassage]) -> None:
    for passage in passages:
        if len(passage.embedding) != index.dimensions:
            raise WrongDimensions(
                index_id=index.id, expected=index.dimensions, found=len(passage.embedding)
            )
