import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from forebay_standalone.account import postgres_account
from forebay_standalone.ports import free_port
from forebay_standalone.postgres_programs import SYSTEM_FOLDER
from forebay_standalone.postgres_server import PostgresServer


@pytest.fixture(scope="module")
def shared(shared_folder: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(shared_folder / "postgres", free_port())
    with ExitStack() as stack:
        stack.callback(server.kill)
        yield server


@pytest.fixture
def server(shared: PostgresServer) -> PostgresServer:
    """One server for all tests; what a test killed serves again."""
    if not shared.alive:
        start(shared)
    return shared


def start(server: PostgresServer) -> None:
    server.start()
    server.wait_ready()


def execute(server: PostgresServer, statement: str) -> None:
    with psycopg.connect(server.admin_dsn, autocommit=True) as connection:
        connection.execute(statement)


def nearest(server: PostgresServer) -> list[tuple[object, ...]]:
    with psycopg.connect(server.admin_dsn) as connection:
        asked = connection.execute("SELECT name FROM points ORDER BY at <-> '[1,1]' LIMIT 1")
        return asked.fetchall()


def test_vectors_survive_a_clean_restart_and_a_kill(server: PostgresServer) -> None:
    execute(server, "CREATE EXTENSION vector")
    execute(server, "CREATE TABLE points (name text, at vector(2))")
    execute(server, "INSERT INTO points VALUES ('far', '[9,9]'), ('near', '[1,2]')")
    server.stop()
    start(server)
    assert nearest(server) == [("near",)]
    server.kill()
    start(server)
    assert nearest(server) == [("near",)]


def test_a_pid_file_that_names_an_unrelated_process_does_not_block(
    server: PostgresServer,
) -> None:
    server.kill()
    account = postgres_account()
    pid_file = server.folder / "data" / "postmaster.pid"
    former, *rest = pid_file.read_text().splitlines()
    sleep = [str(shutil.which("sleep")), "120"]
    with subprocess.Popen(account.running(sleep) if account else sleep) as unrelated:
        try:
            assert former != str(unrelated.pid)
            pid_file.write_text("\n".join([str(unrelated.pid), *rest, ""]))
            start(server)
            assert unrelated.poll() is None
        finally:
            unrelated.kill()


def test_a_postmaster_that_was_left_behind_makes_way(server: PostgresServer) -> None:
    second = PostgresServer(server.folder, free_port())
    try:
        start(second)
        execute(second, "SELECT 1")
        assert not server.alive
    finally:
        second.kill()


def test_a_suspended_server_answers_nothing_until_resumed(server: PostgresServer) -> None:
    with psycopg.connect(server.admin_dsn) as connection:
        server.suspend()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            psycopg.connect(server.admin_dsn, connect_timeout=2)
        server.resume()
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_nobody_enters_without_the_password(server: PostgresServer) -> None:
    address = urlsplit(server.admin_dsn)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(address._replace(netloc=f"postgres@127.0.0.1:{server.port}").geturl())


def test_the_password_is_readable_by_us_alone(server: PostgresServer) -> None:
    file = server.folder / "admin-password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() in server.admin_dsn


def test_making_the_data_folder_begins_again_when_it_was_cut_off(folder: Path) -> None:
    half = folder / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")
    server = PostgresServer(folder / "postgres", free_port())
    try:
        start(server)
        execute(server, "SELECT 1")
    finally:
        server.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres under another account")
def test_root_s_private_folders_stay_private(folder: Path) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    server = PostgresServer(private / "postgres", free_port())
    try:
        start(server)
        execute(server, "SELECT 1")
        server.stop()
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
    finally:
        server.erase()
    name = (private / "postgres" / "data-name").read_text()
    assert not (SYSTEM_FOLDER / f"data-{name}").exists()
