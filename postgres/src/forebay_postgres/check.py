"""Says what keeps a database from serving this release."""

import psycopg
from psycopg.rows import TupleRow

from forebay_postgres import roles
from forebay_postgres.migrate import administrator, migrations, outstanding
from forebay_postgres.settings import PostgresSettings

_SERVING_ROLES = [roles.WRITE, roles.RETRIEVE]
_TOO_MIGHTY = """
    SELECT rolname FROM pg_roles
    WHERE rolname = ANY (%(roles)s) AND (rolsuper OR rolbypassrls)
    UNION
    SELECT owner.rolname FROM pg_class JOIN pg_roles AS owner ON owner.oid = relowner
    WHERE owner.rolname = ANY (%(roles)s)
    UNION
    SELECT member.rolname FROM pg_auth_members
    JOIN pg_roles AS member ON member.oid = pg_auth_members.member
    WHERE member.rolname = ANY (%(roles)s)
"""
_UNPROTECTED = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'forebay'::regnamespace AND relkind = 'r' AND NOT relrowsecurity
      AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant')
"""


def check(settings: PostgresSettings) -> list[str]:
    """Return one sentence for each thing that is wrong; empty means ready to serve."""
    with administrator(settings) as connection:
        if connection.execute("SELECT to_regclass('forebay.migrations')").fetchone() == (None,):
            return ["The database was never migrated."]
        return [
            *(f"Migration {m.name} is not applied." for m in outstanding(connection, migrations())),
            *(
                f"Role {name} can get around row-level security."
                for name in _too_mighty(connection)
            ),
            *(f"Table {name} has no row-level security." for name in _unprotected(connection)),
        ]


def _too_mighty(connection: psycopg.Connection[TupleRow]) -> list[str]:
    rows = connection.execute(_TOO_MIGHTY, {"roles": _SERVING_ROLES}).fetchall()
    return sorted(str(name) for (name,) in rows)


def _unprotected(connection: psycopg.Connection[TupleRow]) -> list[str]:
    return sorted(str(name) for (name,) in connection.execute(_UNPROTECTED).fetchall())
