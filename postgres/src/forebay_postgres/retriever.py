"""Hybrid retrieval: vectors and full text under the caller's permissions, fused by rank."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from pgvector import Vector
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from forebay_postgres.documents import DocumentKey
from forebay_postgres.errors import IndexWithdrawn, WrongDimensions
from forebay_postgres.indexes import Index, IndexState, read_serving_index
from forebay_postgres.permissions import Permissions, assume
from forebay_postgres.pool import Connection, Pool
from forebay_postgres.stored_text import require_storable_labels, searchable

_RANK_DAMPING = 60  # k of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)
_MIN_CANDIDATES = 100  # per ranking: what both find at depth still beats what one finds early
_USABLE = (IndexState.SERVING, IndexState.STANDBY)  # both go on consuming, so both are current

_INDEX_STATE = "SELECT state FROM forebay.indexes WHERE id = %s"

_VECTORS = """
    SELECT tenant, collection, document_id, ordinal, 1 - distance AS score,
           row_number() OVER (ORDER BY distance, tenant, collection, document_id, ordinal) AS place
    FROM forebay.search_vectors(
        %(index)s, %(vector)b::forebay.vector, %(candidates)s, %(scopes)s::text[], %(labels)s)
"""
_TEXT = """
    SELECT tenant, collection, document_id, ordinal, rank AS score,
           row_number() OVER (ORDER BY rank DESC, tenant, collection, document_id, ordinal) AS place
    FROM forebay.search_text(
        %(index)s, %(text)s, %(candidates)s, %(scopes)s::text[], %(labels)s)
"""
_FUSED = f"""
    SELECT tenant, collection, document_id, ordinal,
           sum(1.0::double precision / ({_RANK_DAMPING} + place)) AS score
    FROM (({_VECTORS}) UNION ALL ({_TEXT})) AS ranked
    GROUP BY tenant, collection, document_id, ordinal
"""  # noqa: S608 (constants)
# The joins read the tables as the caller, under row-level security: the second time that every
# rule is applied.
_SEARCH = """
    SELECT passage.tenant, passage.collection, passage.document_id, passage.version,
           passage.ordinal, head.title, passage.content, passage.heading_path,
           passage.span_start, passage.span_end, candidate.score,
           greatest(head.visibility, published.held_visibility), head.source_uri,
           head.readers, published.held_readers
    FROM (
        SELECT * FROM ({candidates}) AS ranked
        ORDER BY score DESC, tenant, collection, document_id, ordinal LIMIT %(top_k)s
    ) AS candidate
    JOIN forebay.documents AS head USING (tenant, collection, document_id)
    JOIN forebay.publications AS published USING (tenant, collection, document_id)
    JOIN forebay.passages AS passage
        USING (index_id, tenant, collection, document_id, version, ordinal)
    WHERE published.index_id = %(index)s
    ORDER BY candidate.score DESC, passage.tenant, passage.collection, passage.document_id,
             passage.ordinal
"""


class Ranking(StrEnum):
    """What ranks passages. HYBRID is for use, the others are for evaluation beside it."""

    HYBRID = "HYBRID"
    VECTORS = "VECTORS"
    TEXT = "TEXT"


_STATEMENTS = {
    Ranking.HYBRID: _SEARCH.format(candidates=_FUSED),
    Ranking.VECTORS: _SEARCH.format(candidates=_VECTORS),
    Ranking.TEXT: _SEARCH.format(candidates=_TEXT),
}


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage that the caller may read. The span is in UTF-8 bytes of the parsed document.

    `key` is the name that the caller uses, also for what is shared with it. `visibility` is what
    the caller needs to be cleared for. `score` orders one answer: the sum of reciprocal ranks
    (at most 2/61), the cosine similarity, or ts_rank, depending on the ranking. `groups` are those
    of the caller that its readers are among; empty where it has no readers.
    """

    key: DocumentKey
    version: UUID
    ordinal: int
    title: str
    text: str
    heading_path: tuple[str, ...]
    span_start: int
    span_end: int
    score: float
    visibility: int
    source_uri: str
    groups: tuple[str, ...]


class Retriever:
    """Finds passages under role forebay_retrieve."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def serving_index(self) -> Index:
        """Return the index to pin for a query; raises ServingIndexMissing."""
        async with self._pool.transaction() as connection:
            return await read_serving_index(connection)

    async def search(  # noqa: PLR0913 (one question in full)
        self,
        permissions: Permissions,
        index: Index,
        question_text: str,
        question_vector: Sequence[float],
        top_k: int,
        *,
        collections: Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
        ranking: Ranking = Ranking.HYBRID,
    ) -> list[FoundPassage]:
        """Return the best `top_k` passages that the caller may read, best first.

        `collections` are names as the caller knows them, None for all; `labels` must all be equal.
        Raises IndexWithdrawn when `index` no longer is kept current: pin the serving one and embed
        the question anew.
        """
        if len(question_vector) != index.dimensions:
            raise WrongDimensions(
                index_id=index.id, expected=index.dimensions, found=len(question_vector)
            )
        require_storable_labels(labels or {})
        values = {
            "index": index.id,
            "vector": Vector(list(question_vector)),
            "text": searchable(question_text),
            "candidates": max(_MIN_CANDIDATES, top_k),
            "scopes": permissions.scopes(collections),
            "labels": Jsonb(dict(labels or {})),
            "top_k": top_k,
        }
        async with self._pool.transaction(permissions.tenant, pipelined=True) as connection:
            rows = await _search(connection, permissions, _STATEMENTS[ranking], values)
        return [_found(permissions, row) for row in rows]


async def _search(
    connection: Connection, permissions: Permissions, statement: str, values: Mapping[str, object]
) -> list[TupleRow]:
    async with connection.cursor() as states, connection.cursor() as passages:
        await assume(connection, permissions)
        await states.execute(_INDEX_STATE, (values["index"],))
        await passages.execute(statement, values)
        state = await states.fetchone()
        if state is None or state[0] not in _USABLE:
            raise IndexWithdrawn(str(values["index"]), state[0] if state else None)
        return await passages.fetchall()


def _found(permissions: Permissions, row: TupleRow) -> FoundPassage:
    tenant, collection, document_id, version, ordinal, title, text, headings, *rest = row
    span_start, span_end, score, visibility, source_uri, readers, held = rest
    return FoundPassage(
        key=DocumentKey(permissions.tenant, permissions.name_of(tenant, collection), document_id),
        version=version,
        ordinal=ordinal,
        title=title,
        text=text,
        heading_path=tuple(headings),
        span_start=span_start,
        span_end=span_end,
        score=float(score),
        visibility=visibility,
        source_uri=source_uri,
        groups=_admitting(permissions, readers, held or ()),
    )


def _admitting(
    permissions: Permissions, readers: Sequence[str], held: Sequence[str]
) -> tuple[str, ...]:
    """The caller's groups by which it reads; of two readerships, those that are in both if any."""
    groups = set(permissions.groups)
    now, before = groups & set(readers), groups & set(held)
    return tuple(sorted((now & before) or now or before))
