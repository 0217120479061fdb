"""Roles, schema and extension: what an administrator sets up before migrations."""

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow
from pydantic import SecretStr

from forebay_postgres.errors import StorageMisconfigured

MIGRATE = "forebay_migrate"
WRITE = "forebay_write"
RETRIEVE = "forebay_retrieve"

# Roles belong to the cluster: another database of it may be set up at the same moment.
_CREATE_ROLE = """
    DO $$ BEGIN
        CREATE ROLE {} {} NOSUPERUSER NOBYPASSRLS NOINHERIT NOCREATEDB NOCREATEROLE NOREPLICATION;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END $$
"""
_MAY_OWN = """
    SELECT pg_has_role(current_user, %(role)s, 'SET')
       AND pg_has_role(current_user, %(role)s, 'USAGE')
"""
_EXTENSION_SCHEMA = """
    SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
    WHERE extname = 'vector'
"""


def prepare(
    connection: psycopg.Connection[TupleRow],
    write_password: SecretStr | None,
    retrieve_password: SecretStr | None,
) -> None:
    """Create what is missing of roles, schema and extension; set the passwords that are given."""
    with connection.transaction():
        for role, login in ((MIGRATE, "NOLOGIN"), (WRITE, "LOGIN"), (RETRIEVE, "LOGIN")):
            connection.execute(sql.SQL(_CREATE_ROLE).format(sql.Identifier(role), sql.SQL(login)))
        _set_password(connection, WRITE, write_password)
        _set_password(connection, RETRIEVE, retrieve_password)
        _let_administrator_become_owner(connection)
        _create_schema(connection)
        _restrict_database(connection)


def become_owner(connection: psycopg.Connection[TupleRow]) -> None:
    """Own from here on, until the transaction ends, what is created."""
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(MIGRATE)))


def _set_password(
    connection: psycopg.Connection[TupleRow], role: str, password: SecretStr | None
) -> None:
    if password is None:
        return
    # Hashed here, because the server may log the statement.
    verifier = connection.pgconn.encrypt_password(
        password.get_secret_value().encode(), role.encode(), b"scram-sha-256"
    )
    connection.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(
            sql.Identifier(role), sql.Literal(verifier.decode())
        )
    )


def _let_administrator_become_owner(connection: psycopg.Connection[TupleRow]) -> None:
    # A superuser has both; any other administrator got only ADMIN on the role it created.
    may = connection.execute(_MAY_OWN, {"role": MIGRATE}).fetchone()
    if may != (True,):
        connection.execute(
            sql.SQL("GRANT {} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE").format(
                sql.Identifier(MIGRATE)
            )
        )


def _create_schema(connection: psycopg.Connection[TupleRow]) -> None:
    connection.execute(
        sql.SQL("CREATE SCHEMA IF NOT EXISTS forebay AUTHORIZATION {}").format(
            sql.Identifier(MIGRATE)
        )
    )
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA forebay")
    found = connection.execute(_EXTENSION_SCHEMA).fetchone()
    if found != ("forebay",):
        # The search functions pin their path to this schema, where nobody else may create.
        raise StorageMisconfigured(
            "Extension vector is installed outside schema forebay: give Forebay its own database."
        )
    connection.execute(
        sql.SQL("GRANT USAGE ON SCHEMA forebay TO {}, {}").format(
            sql.Identifier(WRITE), sql.Identifier(RETRIEVE)
        )
    )


def _restrict_database(connection: psycopg.Connection[TupleRow]) -> None:
    database = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    connection.execute(
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}, {}").format(
            database, sql.Identifier(WRITE), sql.Identifier(RETRIEVE)
        )
    )
