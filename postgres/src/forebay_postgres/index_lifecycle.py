"""Re-embedding: an index is built beside the serving one, takes its place, and can give it back."""

from forebay_postgres.errors import IndexStateConflict, IndexTaken
from forebay_postgres.indexes import Index, IndexState, lock_index
from forebay_postgres.pool import Connection, Pool
from forebay_postgres.stored_text import require_all_storable

_BATCH = 5_000  # passages removed in one transaction: a second or so, far below its timeout

_CREATE = """
    INSERT INTO forebay.indexes (id, embedding_model, dimensions, chunking, state)
    VALUES (%s, %s, %s, %s, 'BUILDING') ON CONFLICT (id) DO NOTHING
"""
_SET_STATE = "UPDATE forebay.indexes SET state = %s WHERE id = %s"
# One promotion after the other; publishing goes on, as it only shares rows.
_ONE_AT_A_TIME = "LOCK TABLE forebay.indexes IN SHARE ROW EXCLUSIVE MODE"
_RETIRE = "UPDATE forebay.indexes SET state = 'STANDBY' WHERE state = 'SERVING'"
_COUNT_MISSING = """
    SELECT count(*) FROM forebay.documents AS head
    WHERE head.newest_version IS NOT NULL
      AND (head.deleted_version IS NULL OR head.newest_version > head.deleted_version)
      AND head.failed_version IS DISTINCT FROM head.newest_version
      AND NOT EXISTS (
          SELECT FROM forebay.publications AS published
          WHERE published.index_id = %s
            AND published.tenant = head.tenant
            AND published.collection = head.collection
            AND published.document_id = head.document_id
            AND published.version = head.newest_version
      )
"""
_REMOVE_PUBLICATIONS = "DELETE FROM forebay.publications WHERE index_id = %s"
_REMOVE_PASSAGES = """
    DELETE FROM forebay.passages WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM forebay.passages WHERE index_id = %s LIMIT %s
    ))
"""


class IndexLifecycle:
    """BUILDING → READY → SERVING ⇄ STANDBY → DELETED, under role forebay_write.

    Every step may be repeated. Steps raise IndexStateConflict where they do not start from, and
    IndexWithdrawn for an index that does not exist.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(self, index_id: str, model: str, dimensions: int, chunking: str) -> Index:
        """Create an empty index that is filled beside the serving one; raises IndexTaken."""
        require_all_storable("index", (index_id, model, chunking))
        async with self._pool.transaction() as connection:
            await connection.execute(_CREATE, (index_id, model, dimensions, chunking))
            index = await lock_index(connection, index_id)
        wanted = (model, dimensions, chunking)
        if (index.embedding_model, index.dimensions, index.chunking) != wanted:
            raise IndexTaken(index_id, index.content)
        return index

    async def count_missing(self, index_id: str) -> int:
        """Return how many documents the index lacks in their newest version, failed ones aside."""
        async with self._pool.transaction() as connection:
            return await _count_missing(connection, index_id)

    async def complete(self, index_id: str) -> int:
        """Make a BUILDING index READY if nothing is missing; return what is missing.

        The caller has seen to it that the index's consumers are past the end of the log as it was
        at creation: the catalogue cannot know of documents that it has not been told of.
        """
        async with self._pool.transaction() as connection:
            index = await lock_index(connection, index_id)
            if index.state not in (IndexState.BUILDING, IndexState.READY):
                raise IndexStateConflict(index_id, index.state, "completed")
            missing = await _count_missing(connection, index_id)
            if missing == 0:
                await connection.execute(_SET_STATE, (IndexState.READY, index_id))
            return missing

    async def promote(self, index_id: str) -> None:
        """Let an index serve that is READY, or STANDBY to roll back; the former one stands by.

        One transaction: each query finds the one or the other.
        """
        async with self._pool.transaction() as connection:
            await connection.execute(_ONE_AT_A_TIME)
            index = await lock_index(connection, index_id)
            if index.state in (IndexState.BUILDING, IndexState.DELETED):
                raise IndexStateConflict(index_id, index.state, "promoted")
            if index.state is not IndexState.SERVING:
                await connection.execute(_RETIRE)
                await connection.execute(_SET_STATE, (IndexState.SERVING, index_id))

    async def delete(self, index_id: str) -> None:
        """Delete an index that does not serve, with its passages, a batch at a time."""
        async with self._pool.transaction() as connection:
            index = await lock_index(connection, index_id)
            if index.state is IndexState.SERVING:
                raise IndexStateConflict(index_id, index.state, "deleted")
            await connection.execute(_SET_STATE, (IndexState.DELETED, index_id))
            await connection.execute(_REMOVE_PUBLICATIONS, (index_id,))
        while await self._remove_batch(index_id) == _BATCH:
            pass

    async def _remove_batch(self, index_id: str) -> int:
        async with self._pool.transaction() as connection:
            cursor = await connection.execute(_REMOVE_PASSAGES, (index_id, _BATCH))
            return cursor.rowcount


async def _count_missing(connection: Connection, index_id: str) -> int:
    cursor = await connection.execute(_COUNT_MISSING, (index_id,))
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
