"""What cataloguing writes: versions, updates, deletions and failures."""

from datetime import datetime
from uuid import UUID

from forebay_postgres import head as rules
from forebay_postgres.documents import (
    AccessUpdate,
    DocumentKey,
    DocumentVersion,
    Failure,
    Verdict,
)
from forebay_postgres.head import Head
from forebay_postgres.head_rows import LockedHead, lock_head
from forebay_postgres.pool import Connection, Pool


class CatalogueWriter:
    """Writes to the catalogue under role forebay_write; every call is one transaction.

    Calls may be repeated and may come in any order. They raise DatabaseUnavailable, and
    InvalidStoredText for text that Postgres cannot hold.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def accept(self, version: DocumentVersion) -> Verdict:
        """Make this version the newest of its document if it is."""
        async with self._pool.transaction(version.tenant, pipelined=True) as connection:
            return await accept_locked(connection, version)

    async def update(self, change: AccessUpdate) -> Verdict:
        """Change visibility, readers or labels, at once for everything already indexed."""
        async with self._pool.transaction(change.key.tenant, pipelined=True) as connection:
            locked = await lock_head(connection, change.key, change.version)
            after, verdict = rules.update(locked.head, change)
            return locked.refused or await _settle(locked, after, change.version, verdict)

    async def delete(
        self, key: DocumentKey, version: UUID, *, writer_clearance: int, accept_time: datetime
    ) -> Verdict:
        """Delete the document as it was at `version`, with its passages in every index."""
        async with self._pool.transaction(key.tenant, pipelined=True) as connection:
            locked = await lock_head(connection, key, version)
            after, verdict = rules.delete(
                locked.head, version, writer_clearance=writer_clearance, accept_time=accept_time
            )
            if locked.refused is None and verdict.accepted:
                await locked.remove_up_to(version)
            return locked.refused or await _settle(locked, after, version, verdict)

    async def fail(self, version: DocumentVersion, failure: Failure) -> Verdict:
        """Note why this version will not be found, if it is the newest."""
        async with self._pool.transaction(version.tenant, pipelined=True) as connection:
            locked = await lock_head(connection, version.key, version.version)
            after, verdict = rules.fail(locked.head, version, failure)
            return locked.refused or await _settle(locked, after, version.version, verdict)


async def accept_locked(connection: Connection, version: DocumentVersion) -> Verdict:
    """Accept `version` in the running, pipelined transaction and keep the head row locked."""
    locked = await lock_head(connection, version.key, version.version)
    after, verdict = rules.accept(locked.head, version)
    return locked.refused or await _settle(locked, after, version.version, verdict)


async def _settle(locked: LockedHead, after: Head, version: UUID, verdict: Verdict) -> Verdict:
    if verdict.failure is not None:
        await locked.refuse(version, verdict.failure)
    await locked.save(after)
    return verdict
