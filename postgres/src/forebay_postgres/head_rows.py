"""Head rows and what hangs on them, inside a transaction of the write role."""

from collections.abc import Sequence
from dataclasses import fields
from uuid import UUID

from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from forebay_postgres.documents import DocumentKey, Failure, Outcome, Verdict
from forebay_postgres.head import Head
from forebay_postgres.pool import Connection

_COLUMNS = [field.name for field in fields(Head)]
_OF_DOCUMENT = "tenant = %(tenant)s AND collection = %(collection)s AND document_id = %(document)s"
# Both tables are keyed by index first, and there are only a few.
_ANY_INDEX = "index_id IN (SELECT id FROM forebay.indexes)"

_CREATE = """
    INSERT INTO forebay.documents (tenant, collection, document_id)
    VALUES (%(tenant)s, %(collection)s, %(document)s) ON CONFLICT DO NOTHING
"""
_LOCK = sql.SQL("SELECT {} FROM forebay.documents WHERE {} FOR UPDATE").format(
    sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)), sql.SQL(_OF_DOCUMENT)
)
_SAVE = sql.SQL("UPDATE forebay.documents SET {} WHERE {}").format(
    sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in _COLUMNS
    ),
    sql.SQL(_OF_DOCUMENT),
)
# Of all that held since the text was published, the narrowest counts. Where readers changed, only
# those who were among them throughout; a null is equal to no group.
_HOLD = f"""
    UPDATE forebay.publications
    SET held_visibility = greatest(held_visibility, %(visibility)s),
        held_readers = CASE
            WHEN coalesce(held_readers, '{{}}') = '{{}}' THEN %(readers)s::text[]
            WHEN %(readers)s::text[] = '{{}}' THEN held_readers
            ELSE coalesce(nullif(ARRAY(
                SELECT unnest(held_readers) INTERSECT SELECT unnest(%(readers)s::text[])
            ), '{{}}'), '{{NULL}}')
        END
    WHERE {_OF_DOCUMENT} AND {_ANY_INDEX} AND version < %(version)s
"""  # noqa: S608 (constants)
_REFUSE = """
    INSERT INTO forebay.versions_refused
    VALUES (%(tenant)s, %(collection)s, %(document)s, %(version)s,
            %(code)s, %(reason)s, %(message)s)
    ON CONFLICT DO NOTHING
"""
_IS_REFUSED = f"""
    SELECT error_code, error_reason, error_message FROM forebay.versions_refused
    WHERE {_OF_DOCUMENT} AND version = %(version)s
"""  # noqa: S608 (constants)
_END = f"""
    UPDATE forebay.documents
    SET kept_versions = ARRAY(
        SELECT unnest(kept_versions) EXCEPT SELECT unnest(%(versions)s::uuid[]) ORDER BY 1
    )
    WHERE {_OF_DOCUMENT}
"""  # noqa: S608 (constants)
_UP_TO = f"{_OF_DOCUMENT} AND version <= %(version)s"
_REMOVE = [
    f"DELETE FROM forebay.passages WHERE {_ANY_INDEX} AND {_UP_TO}",  # noqa: S608 (constants)
    f"DELETE FROM forebay.publications WHERE {_ANY_INDEX} AND {_UP_TO}",  # noqa: S608 (constants)
    f"DELETE FROM forebay.versions_refused WHERE {_UP_TO}",  # noqa: S608 (constants)
]


class LockedHead:
    """The head row of one document, locked until the transaction ends.

    `refused` is the verdict again if the version that locked it was refused before: a refusal
    stays. Writes are only sent: they run, or fail, with whatever waits for the server next.
    """

    def __init__(
        self, connection: Connection, key: DocumentKey, head: Head, refused: Verdict | None
    ) -> None:
        self.head = head
        self.refused = refused
        self._connection = connection
        self._of_document = _parameters(key)

    async def save(self, head: Head) -> None:
        """Write the next head; a new version holds the access of the text it will replace."""
        if head == self.head:
            return
        values = {name: getattr(head, name) for name in _COLUMNS}
        values |= {"labels": Jsonb(dict(head.labels)), "readers": list(head.readers)}
        values |= {"kept_versions": list(head.kept_versions)}
        await self._connection.execute(_SAVE, {**self._of_document, **values})
        if head.newest_version != self.head.newest_version and self.head.exists:
            await self._hold(head.newest_version)
        self.head = head

    async def refuse(self, version: UUID, failure: Failure) -> None:
        """Remember that this version was refused."""
        values = {"code": failure.code, "reason": failure.reason, "message": failure.message}
        await self._connection.execute(_REFUSE, {**self._of_document, "version": version, **values})

    async def remove_up_to(self, version: UUID) -> None:
        """Remove passages, publications and refusals of `version` and all before it."""
        for statement in _REMOVE:
            await self._connection.execute(statement, {**self._of_document, "version": version})

    async def _hold(self, version: UUID | None) -> None:
        former = {"visibility": self.head.visibility, "readers": list(self.head.readers)}
        await self._connection.execute(_HOLD, {**self._of_document, **former, "version": version})


async def lock_head(connection: Connection, key: DocumentKey, version: UUID) -> LockedHead:
    """Lock the head row of a document, making an empty one for a document never heard of.

    The connection is in a pipeline: one round trip for all of it, and for what was sent before.
    """
    of_document = _parameters(key)
    async with connection.cursor(row_factory=dict_row) as heads, connection.cursor() as refusals:
        await connection.execute(_CREATE, of_document)
        await heads.execute(_LOCK, of_document)
        await refusals.execute(_IS_REFUSED, {**of_document, "version": version})
        row, refusal = await heads.fetchone(), await refusals.fetchone()
    if row is None:
        raise AssertionError("A head row vanished under its lock.")
    lists = {name: tuple(row[name]) for name in ("readers", "kept_versions")}
    head = Head(**{**row, **lists})
    refused = Verdict(Outcome.REFUSED, failure=Failure(*refusal)) if refusal else None
    return LockedHead(connection, key, head, refused)


async def end_versions(connection: Connection, key: DocumentKey, versions: Sequence[UUID]) -> None:
    """Take versions off those that are kept in the log."""
    await connection.execute(_END, {**_parameters(key), "versions": list(versions)})


def _parameters(key: DocumentKey) -> dict[str, str]:
    return {"tenant": key.tenant, "collection": key.collection, "document": key.document_id}
