import dataclasses
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
from pydantic import SecretStr

from forebay_postgres import PostgresSettings, check, migrate
from forebay_postgres.__main__ import main
from forebay_postgres.errors import DatabaseUnavailable, MigrationChanged, StorageMisconfigured
from forebay_postgres.migrate import Migration, migrations


def rows(settings: PostgresSettings, statement: str) -> list[tuple[object, ...]]:
    assert settings.admin_dsn is not None
    with psycopg.connect(settings.admin_dsn.get_secret_value()) as connection:
        return connection.execute(statement.encode()).fetchall()


def test_a_second_run_applies_nothing(empty_settings: PostgresSettings) -> None:
    assert migrate(empty_settings) == [migration.name for migration in migrations()]
    assert migrate(empty_settings) == []


def test_runs_at_the_same_time_apply_every_migration_once(empty_settings: PostgresSettings) -> None:
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(migrate, [empty_settings] * 4))
    names = [migration.name for migration in migrations()]
    assert sorted(name for run in applied for name in run) == names


def test_an_edited_migration_is_refused_before_anything_is_applied(
    empty_settings: PostgresSettings,
) -> None:
    migrate(empty_settings)
    first, *others = migrations()
    edited = dataclasses.replace(first, statements=first.statements + "-- edited\n")
    added = Migration("9999_late.sql", "CREATE TABLE forebay.late ();")
    with pytest.raises(MigrationChanged) as raised:
        migrate(empty_settings, [edited, *others, added])
    assert first.name in str(raised.value)
    assert rows(empty_settings, "SELECT to_regclass('forebay.late')::text") == [(None,)]


def test_a_migration_that_fails_leaves_nothing_behind(empty_settings: PostgresSettings) -> None:
    migrate(empty_settings)
    broken = Migration("9999_broken.sql", "CREATE TABLE forebay.half (); SELECT 1 / 0;")
    with pytest.raises(Exception, match="SQLSTATE 22012"):
        migrate(empty_settings, [*migrations(), broken])
    assert rows(empty_settings, "SELECT to_regclass('forebay.half')::text") == [(None,)]
    assert migrate(empty_settings) == []


def test_documents_of_the_former_release_keep_what_the_log_may_still_hold(
    empty_settings: PostgresSettings,
) -> None:
    former = [migration for migration in migrations() if migration.name < "0008"]
    migrate(empty_settings, former)
    assert empty_settings.admin_dsn is not None
    older, newer = UUID(int=1), UUID(int=2)
    with psycopg.connect(empty_settings.admin_dsn.get_secret_value()) as connection:
        connection.cursor().executemany(
            """INSERT INTO forebay.documents
                   (tenant, collection, document_id, newest_version, previous_version)
               VALUES ('acme', 'default', %s, %s, %s)""",
            [("a", None, None), ("b", older, None), ("c", newer, older)],
        )
    migrate(empty_settings)
    kept = rows(empty_settings, "SELECT kept_versions FROM forebay.documents ORDER BY document_id")
    assert kept == [([],), ([older],), ([older, newer],)]


def test_everything_belongs_to_the_migrating_role(settings: PostgresSettings) -> None:
    owners = rows(
        settings,
        """SELECT DISTINCT rolname FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner
           WHERE relnamespace = 'forebay'::regnamespace""",
    )
    assert owners == [("forebay_migrate",)]


def test_check_is_silent_on_a_migrated_database(settings: PostgresSettings) -> None:
    assert check(settings) == []


def test_check_names_what_is_missing(empty_settings: PostgresSettings) -> None:
    assert check(empty_settings) == ["The database was never migrated."]
    migrate(empty_settings, migrations()[:1])
    assert check(empty_settings) == [
        f"Migration {migration.name} is not applied." for migration in migrations()[1:]
    ]


def test_check_finds_a_table_without_row_level_security(settings: PostgresSettings) -> None:
    assert settings.admin_dsn is not None
    with psycopg.connect(settings.admin_dsn.get_secret_value()) as connection:
        connection.execute("ALTER TABLE forebay.passages DISABLE ROW LEVEL SECURITY")
    assert check(settings) == ["Table passages has no row-level security."]


def test_an_extension_in_another_schema_is_refused(empty_settings: PostgresSettings) -> None:
    assert empty_settings.admin_dsn is not None
    with psycopg.connect(empty_settings.admin_dsn.get_secret_value()) as connection:
        connection.execute("CREATE EXTENSION vector SCHEMA public")
    with pytest.raises(StorageMisconfigured, match="its own database"):
        migrate(empty_settings)


def test_the_command_migrates_and_checks(
    empty_settings: PostgresSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert empty_settings.admin_dsn is not None
    monkeypatch.setenv("FOREBAY_POSTGRES_ADMIN_DSN", empty_settings.admin_dsn.get_secret_value())
    assert main(["check"]) == 1
    assert "never migrated" in capsys.readouterr().err
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out.count("applied ") == len(migrations())
    assert main(["check"]) == 0


def test_the_command_says_when_postgres_is_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOREBAY_POSTGRES_ADMIN_DSN", "host=127.0.0.1 port=1 user=nobody")
    assert main(["check"]) == 1
    assert capsys.readouterr().err == "The database is unavailable.\n"


@pytest.mark.usefixtures("template")  # it made the roles
def test_an_administrator_who_is_no_superuser_can_migrate(
    empty_settings: PostgresSettings,
) -> None:
    assert empty_settings.admin_dsn is not None
    admin = empty_settings.admin_dsn.get_secret_value()
    with psycopg.connect(admin, autocommit=True) as connection:
        database = connection.info.dbname
        connection.execute("DROP ROLE IF EXISTS plain_admin")
        connection.execute("CREATE ROLE plain_admin LOGIN CREATEROLE PASSWORD 'plain'")
        connection.execute(f'ALTER DATABASE "{database}" OWNER TO plain_admin'.encode())
        connection.execute("GRANT forebay_migrate TO plain_admin WITH ADMIN TRUE, SET FALSE")
        connection.execute(
            "GRANT forebay_write, forebay_retrieve TO plain_admin "
            "WITH ADMIN TRUE, SET FALSE, INHERIT FALSE"
        )
        # Only a superuser may create this build's extension; hosted ones let their admin do it.
        connection.execute("CREATE SCHEMA forebay AUTHORIZATION forebay_migrate")
        connection.execute("CREATE EXTENSION vector SCHEMA forebay")
    plain = psycopg.conninfo.make_conninfo(admin, user="plain_admin", password="plain")
    try:
        settings = empty_settings.model_copy(update={"admin_dsn": SecretStr(plain)})
        assert migrate(settings)
        assert check(settings) == []
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("DROP OWNED BY plain_admin CASCADE")
            connection.execute(f'ALTER DATABASE "{database}" OWNER TO CURRENT_USER'.encode())
            connection.execute("DROP ROLE plain_admin")


def test_an_unreachable_database_is_a_transient_error() -> None:
    away = PostgresSettings(admin_dsn=SecretStr("host=127.0.0.1 port=1 user=nobody"))
    with pytest.raises(DatabaseUnavailable) as raised:
        migrate(away)
    assert raised.value.transient
