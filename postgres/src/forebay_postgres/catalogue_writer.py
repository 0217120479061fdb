"""What cataloguing writes: versions, updates, deletions and failures."""

from collections.abc import Sequence
from dataclasses import replace
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
from forebay_postgres.head_rows import LockedHead, end_versions, lock_head
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
            locked = await lock_head(connection, version.key, version.version)
            kept = rules.keep(locked.head, version.version)
            return await _settle(locked, version.version, kept, rules.accept(kept, version))

    async def update(self, change: AccessUpdate) -> Verdict:
        """Change visibility, readers or labels, at once for everything already indexed."""
        async with self._pool.transaction(change.key.tenant, pipelined=True) as connection:
            locked = await lock_head(connection, change.key, change.version)
            judged = rules.update(locked.head, change)
            return await _settle(locked, change.version, locked.head, judged)

    async def delete(
        self, key: DocumentKey, version: UUID, *, writer_clearance: int, accept_time: datetime
    ) -> Verdict:
        """Delete the document as it was at `version`, with its passages in every index."""
        async with self._pool.transaction(key.tenant, pipelined=True) as connection:
            locked = await lock_head(connection, key, version)
            judged = rules.delete(
                locked.head, version, writer_clearance=writer_clearance, accept_time=accept_time
            )
            verdict = await _settle(locked, version, locked.head, judged)
            if verdict.accepted:
                await locked.remove_up_to(version)
            return verdict

    async def fail(self, version: DocumentVersion, failure: Failure) -> Verdict:
        """Note why this version will not be found, if it is the newest."""
        async with self._pool.transaction(version.tenant, pipelined=True) as connection:
            locked = await lock_head(connection, version.key, version.version)
            kept = rules.keep(locked.head, version.version)
            judged = rules.fail(kept, version, failure)
            return await _settle(locked, version.version, kept, judged)

    async def end(self, key: DocumentKey, versions: Sequence[UUID]) -> None:
        """Note that the log forgets these versions: no verdict names them any more."""
        async with self._pool.transaction(key.tenant, pipelined=True) as connection:
            await end_versions(connection, key, versions)


async def accept_locked(connection: Connection, version: DocumentVersion) -> Verdict:
    """Accept `version` in the running, pipelined transaction and keep the head row locked."""
    locked = await lock_head(connection, version.key, version.version)
    judged = rules.accept(locked.head, version)
    return await _settle(locked, version.version, locked.head, judged)


async def _settle(
    locked: LockedHead, version: UUID, before: Head, judged: tuple[Head, Verdict]
) -> Verdict:
    """Write what a rule has made of `before`; of a version that was refused earlier, that alone."""
    after, verdict = judged if locked.refused is None else (before, locked.refused)
    if verdict.failure is not None:
        await locked.refuse(version, verdict.failure)
    await locked.save(after)
    return replace(verdict, lost=rules.lost(after))
