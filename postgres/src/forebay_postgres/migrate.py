"""Applies the migrations of this release, once each, whoever else tries at the same time."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources

import psycopg
from psycopg.rows import TupleRow

from forebay_postgres import roles
from forebay_postgres.driver_errors import driver_errors
from forebay_postgres.errors import MigrationChanged, StorageMisconfigured
from forebay_postgres.settings import PostgresSettings

_LOCK = 0x466F726562617931  # "Forebay1": any number that no other program locks in this database
_RECORD = "INSERT INTO forebay.migrations (name, sha256) VALUES (%s, %s)"
_CREATE_RECORDS = """
    CREATE TABLE IF NOT EXISTS forebay.migrations (
        name text PRIMARY KEY,
        sha256 text NOT NULL,
        apply_time timestamptz NOT NULL DEFAULT now()
    )
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of statements."""

    name: str
    statements: str

    @property
    def sha256(self) -> str:
        """The digest by which an edit after the fact is noticed."""
        return hashlib.sha256(self.statements.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return the migrations of this release in the order in which they apply."""
    files = resources.files("forebay_postgres.migrations").iterdir()
    return sorted(
        (Migration(f.name, f.read_text("utf-8")) for f in files if f.name.endswith(".sql")),
        key=lambda migration: migration.name,
    )


def migrate(settings: PostgresSettings, wanted: list[Migration] | None = None) -> list[str]:
    """Bring the database to this release and return the names of what was applied.

    Raises MigrationChanged before anything is applied if an earlier migration has other text now.
    """
    with administrator(settings) as connection, _alone(connection):
        roles.prepare(connection, settings.write_password, settings.retrieve_password)
        with connection.transaction():
            roles.become_owner(connection)
            connection.execute(_CREATE_RECORDS)
        pending = outstanding(connection, migrations() if wanted is None else wanted)
        for migration in pending:
            _apply(connection, migration)
    return [migration.name for migration in pending]


@contextmanager
def administrator(settings: PostgresSettings) -> Iterator[psycopg.Connection[TupleRow]]:
    """Connect as the administrator, each statement its own transaction unless one is opened."""
    if settings.admin_dsn is None:
        raise StorageMisconfigured("FOREBAY_POSTGRES_ADMIN_DSN is not set.")
    dsn = settings.admin_dsn.get_secret_value()
    with driver_errors(), psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
        yield connection


def outstanding(
    connection: psycopg.Connection[TupleRow], wanted: list[Migration]
) -> list[Migration]:
    """Return what of `wanted` is not applied yet; raises MigrationChanged."""
    rows = connection.execute("SELECT name, sha256 FROM forebay.migrations").fetchall()
    applied = {str(name): str(sha256) for name, sha256 in rows}
    for migration in wanted:
        if applied.get(migration.name, migration.sha256) != migration.sha256:
            raise MigrationChanged(migration.name)
    return [migration for migration in wanted if migration.name not in applied]


@contextmanager
def _alone(connection: psycopg.Connection[TupleRow]) -> Iterator[None]:
    connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def _apply(connection: psycopg.Connection[TupleRow], migration: Migration) -> None:
    with connection.transaction():
        roles.become_owner(connection)
        connection.execute(migration.statements.encode())
        connection.execute(_RECORD, (migration.name, migration.sha256))
