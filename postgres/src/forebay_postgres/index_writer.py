"""What indexing writes: the passages of one version, all at once or not at all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from pgvector import Vector

from forebay_postgres.catalogue_writer import accept_locked
from forebay_postgres.documents import DocumentKey, DocumentVersion, Verdict
from forebay_postgres.errors import WrongDimensions
from forebay_postgres.indexes import Index, read_index_to_publish
from forebay_postgres.pool import Connection, Pool
from forebay_postgres.stored_text import require_all_storable, require_storable

_OF_DOCUMENT = "index_id = %s AND tenant = %s AND collection = %s AND document_id = %s"
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
    embedding: Sequence[float]


class IndexWriter:
    """Writes passages under role forebay_write; every call is one transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def published(self, key: DocumentKey, version: UUID, index_id: str) -> bool:
        """Return whether the index holds exactly this version, so that no work is done twice."""
        values = (index_id, key.tenant, key.collection, key.document_id, version)
        async with self._pool.transaction() as connection:
            cursor = await connection.execute(_IS_PUBLISHED, values)
            return await cursor.fetchone() is not None

    async def known_vectors(
        self, tenant: str, model: str, hashes: Iterable[bytes]
    ) -> dict[bytes, list[float]]:
        """Return the vectors that this tenant has already paid for, by digest of their text.

        Vectors never cross tenants: whether one is known would tell what another tenant stores.
        """
        async with self._pool.transaction() as connection:
            cursor = await connection.cursor(binary=True).execute(
                _KNOWN, (tenant, list(hashes), model)
            )
            return {digest: vector.to_list() async for digest, vector in cursor}

    async def publish(
        self, version: DocumentVersion, index_id: str, passages: Sequence[IndexedPassage]
    ) -> Verdict:
        """Replace what the index holds of this document by the passages of `version`.

        One transaction under the lock of the head row: readers see the former version or this
        one. Nothing is published when the verdict is not ACCEPTED. Raises IndexWithdrawn,
        WrongDimensions and InvalidStoredText.
        """
        _require_storable(passages)
        async with self._pool.transaction() as connection:
            index = await read_index_to_publish(connection, index_id)
            _require_dimensions(index, passages)
            _, verdict = await accept_locked(connection, version)
            if verdict.accepted:
                await _replace(connection, index_id, version, passages)
            return verdict


async def _replace(
    connection: Connection,
    index_id: str,
    version: DocumentVersion,
    passages: Sequence[IndexedPassage],
) -> None:
    document = (index_id, version.tenant, version.collection, version.document_id)
    async with connection.pipeline(), connection.cursor() as cursor:
        await connection.execute(_REMOVE, document)
        await connection.execute(_PUBLISH, (*document, version.version))
        await cursor.executemany(
            _INSERT, [(*document, version.version, *_row(passage)) for passage in passages]
        )


def _row(passage: IndexedPassage) -> tuple[object, ...]:
    return (
        passage.ordinal,
        passage.text,
        list(passage.heading_path),
        passage.span_start,
        passage.span_end,
        passage.text_sha256,
        Vector(list(passage.embedding)),
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
