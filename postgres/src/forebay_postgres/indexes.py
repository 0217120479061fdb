"""Indexes: one embedding model applied to one chunking of every document."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import uuid4

from psycopg.rows import TupleRow

from forebay_postgres.errors import IndexWithdrawn, ServingIndexMismatch, ServingIndexMissing
from forebay_postgres.pool import Connection, Pool
from forebay_postgres.stored_text import require_all_storable

_COLUMNS = "id, embedding_model, dimensions, chunking, state, create_time"
_SERVING = f"SELECT {_COLUMNS} FROM forebay.indexes WHERE state = 'SERVING'"  # noqa: S608 (constants)
_BY_ID = f"SELECT {_COLUMNS} FROM forebay.indexes WHERE id = %s"  # noqa: S608 (constants)
_LIVING = f"""
    SELECT {_COLUMNS} FROM forebay.indexes WHERE state <> 'DELETED' ORDER BY create_time, id
"""  # noqa: S608 (constants)
_REGISTER = """
    INSERT INTO forebay.indexes (id, embedding_model, dimensions, chunking, state)
    VALUES (%s, %s, %s, %s, 'SERVING') ON CONFLICT DO NOTHING
"""


class IndexState(StrEnum):
    """The life of an index; the names are those of forebay.index.v1.Index.State."""

    BUILDING = "BUILDING"
    READY = "READY"
    SERVING = "SERVING"
    STANDBY = "STANDBY"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Index:
    """An index as it was when read."""

    id: str
    embedding_model: str
    dimensions: int
    chunking: str
    state: IndexState
    create_time: datetime

    @property
    def content(self) -> str:
        """What the index holds, for people."""
        return f"{self.embedding_model} ({self.dimensions} dimensions, chunking {self.chunking})"


class IndexRegistry:
    """Registers and reads indexes under role forebay_write."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def ensure_serving_index(self, model: str, dimensions: int, chunking: str) -> Index:
        """Return the serving index, registering one for this model and chunking if none serves.

        Any number of writers may call this at once. Raises ServingIndexMismatch if the serving
        index holds something else.
        """
        require_all_storable("index", (model, chunking))
        # Random, so that an index rebuilt from the log never meets the offsets of the lost one.
        new_id = f"index-{uuid4().hex[:12]}"
        async with self._pool.transaction() as connection:
            await connection.execute(_REGISTER, (new_id, model, dimensions, chunking))
            index = await read_serving_index(connection)
        if (index.embedding_model, index.dimensions, index.chunking) != (
            model,
            dimensions,
            chunking,
        ):
            wanted = f"{model} ({dimensions} dimensions, chunking {chunking})"
            raise ServingIndexMismatch(serving=index.content, wanted=wanted)
        return index

    async def get(self, index_id: str) -> Index | None:
        """Return the index of this id, in whatever state it is."""
        async with self._pool.transaction() as connection:
            cursor = await connection.execute(_BY_ID, (index_id,))
            row = await cursor.fetchone()
        return None if row is None else _index(row)

    async def list(self) -> Sequence[Index]:
        """Return all indexes that are not deleted, oldest first."""
        async with self._pool.transaction() as connection:
            cursor = await connection.execute(_LIVING)
            return [_index(row) for row in await cursor.fetchall()]


async def lock_index(connection: Connection, index_id: str) -> Index:
    """Return an index that nobody publishes to or changes until the transaction ends."""
    cursor = await connection.execute(f"{_BY_ID} FOR UPDATE", (index_id,))
    row = await cursor.fetchone()
    if row is None:
        raise IndexWithdrawn(index_id, None)
    return _index(row)


async def read_index_to_publish(connection: Connection, index_id: str) -> Index:
    """Return an index that is not deleted until the transaction ends; raises IndexWithdrawn."""
    cursor = await connection.execute(f"{_BY_ID} FOR KEY SHARE", (index_id,))
    row = await cursor.fetchone()
    index = None if row is None else _index(row)
    if index is None or index.state is IndexState.DELETED:
        raise IndexWithdrawn(index_id, index.state if index else None)
    return index


async def read_serving_index(connection: Connection) -> Index:
    """Return the serving index in the running transaction, or raise ServingIndexMissing."""
    cursor = await connection.execute(_SERVING)
    row = await cursor.fetchone()
    if row is None:
        raise ServingIndexMissing
    return _index(row)


def _index(row: TupleRow) -> Index:
    index_id, model, dimensions, chunking, state, create_time = row
    return Index(index_id, model, dimensions, chunking, IndexState(state), create_time)
