"""Who asks, and how the database is told."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from forebay_postgres.documents import DocumentKey
from forebay_postgres.stored_text import require_all_storable

_SET_CALLER = """
    SELECT set_config('forebay.tenant', %s, true),
           set_config('forebay.clearance', %s, true),
           set_config('forebay.groups', %s::text[]::text, true),
           set_config('forebay.shared', %s::text[]::text, true),
           set_config('forebay.reserved', %s::text[]::text, true)
"""


@dataclass(frozen=True, slots=True)
class SharedCollection:
    """A collection of another tenant that policy lets the caller read under `alias`."""

    alias: str
    tenant: str
    collection: str

    @property
    def scope(self) -> str:
        """The collection across tenants, as tenant/collection."""
        return f"{self.tenant}/{self.collection}"


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a caller may read: its tenant, clearance (1 to 3), groups and what is shared with it.

    Groups count in the caller's own tenant only: equal names elsewhere mean other people. An own
    collection whose name is the alias of something shared is hidden behind it.
    """

    tenant: str
    clearance: int
    groups: tuple[str, ...] = ()
    shared: tuple[SharedCollection, ...] = ()

    def __post_init__(self) -> None:
        require_all_storable("identity", (self.tenant, *self.groups))

    def resolve(self, collection: str) -> tuple[str, str]:
        """Return (tenant, collection) of what the caller names: an alias, or its own collection."""
        for shared in self.shared:
            if shared.alias == collection:
                return shared.tenant, shared.collection
        return self.tenant, collection

    def resolve_key(self, key: DocumentKey) -> DocumentKey:
        """Return the owner's key of a document that the caller names."""
        tenant, collection = self.resolve(key.collection)
        return DocumentKey(tenant, collection, key.document_id)

    def name_of(self, tenant: str, collection: str) -> str:
        """Return the name under which the caller knows a collection."""
        if tenant == self.tenant:
            return collection
        return next(
            s.alias for s in self.shared if (s.tenant, s.collection) == (tenant, collection)
        )

    def scopes(self, collections: Sequence[str] | None) -> list[str] | None:
        """Return what to search as tenant/collection; None searches all that is permitted."""
        if collections is None:
            return None
        require_all_storable("collections", collections)
        return ["/".join(self.resolve(collection)) for collection in collections]


async def assume(connection: AsyncConnection[TupleRow], permissions: Permissions) -> None:
    """Bind the running transaction to the caller; the settings end with the transaction."""
    await connection.execute(
        _SET_CALLER,
        (
            permissions.tenant,
            str(permissions.clearance),
            list(permissions.groups),
            [shared.scope for shared in permissions.shared],
            [shared.alias for shared in permissions.shared],
        ),
    )
