"""Postgres with pgvector as a child process, on loopback, its data kept in a folder."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from forebay_standalone.account import postgres_account
from forebay_standalone.child import ChildProcess, Launch
from forebay_standalone.errors import ProgramFailed
from forebay_standalone.ports import LOOPBACK
from forebay_standalone.postgres_data import (
    ADMIN,
    DATABASE,
    PostgresData,
    admin_password,
    environment,
)
from forebay_standalone.postgres_programs import postgres_programs
from forebay_standalone.procfs import processes_in

STOP_SECONDS = 15.0
POLL_SECONDS = 0.05


class PostgresServer:
    """Starts, stops, kills and suspends a server; the data survive all of these."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """Describe a server; nothing is written before `start`.

        `settings` are server parameters by their names in `postgresql.conf`.
        """
        self.folder = folder.absolute()
        self.port = port
        self.log = log or self.folder / "postgres.log"
        self._settings = settings or {}
        self._data: PostgresData | None = None
        self._child: ChildProcess | None = None

    @property
    def admin_dsn(self) -> str:
        """Connection URI of the superuser, whose password is made on first use."""
        return self.dsn(ADMIN, admin_password(self.folder))

    def dsn(self, user: str, password: str, database: str = DATABASE) -> str:
        """Connection URI (libpq) of a user on this server."""
        return f"postgresql://{quote(user)}:{quote(password)}@{LOOPBACK}:{self.port}/{database}"

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int | None:
        """The process id of the last start."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start the server, making its data folder on first use; `wait_ready` tells when it serves.

        Raises NoPostgresAccount, or ProgramFailed when the data folder cannot be made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        account = postgres_account()
        data = PostgresData(self.folder, postgres_programs(account), account, self.log)
        data.ensure()
        data.clear_leftovers()
        self._data = data
        self._child = ChildProcess(
            Launch(
                "postgres",
                self._command(data),
                self.log,
                env=environment(),
                folder=Path("/"),
                account=account,
                stop_signal=signal.SIGINT,  # "fast": ends sessions, then checkpoints
            )
        )
        self._child.start()

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until it accepts connections; raises ProgramFailed after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not self._accepts():
            if not self.alive:
                raise ProgramFailed("postgres", "ended while starting", self.log)
            if time.monotonic() > deadline:
                raise ProgramFailed("postgres", f"did not serve within {timeout:.0f} s", self.log)
            time.sleep(POLL_SECONDS)

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Shut down cleanly; kill after `timeout` seconds."""
        if self._child and self._child.alive:
            self._signal_all(signal.SIGCONT)
            if not self._child.stop(timeout):
                self._signal_all(signal.SIGKILL)

    def kill(self) -> None:
        """End all its processes at once, as a power cut would."""
        if self._child:
            self._signal_all(signal.SIGKILL)
            self._child.kill()

    def erase(self) -> None:
        """End it at once and remove its data for good, wherever they lie."""
        self.kill()
        if self._data:
            self._data.erase()

    def suspend(self) -> None:
        """Freeze all its processes: connections stay open and nothing is answered."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after `suspend`."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        if self._child:
            self._child.signal(number)  # the postmaster first, or it would start replacements
        for pid in processes_in(self._started().path):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _started(self) -> PostgresData:
        if self._data is None:
            raise ProgramFailed("postgres", "was not started", self.log)
        return self._data

    def _command(self, data: PostgresData) -> list[str]:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_error_verbosity": "terse",  # the details of a refused row quote the row
            **self._settings,
        }
        flags = [f"-c{name}={value}" for name, value in settings.items()]
        return [str(data.programs / "postgres"), "-D", str(data.path), *flags]

    def _accepts(self) -> bool:
        asked = [str(self._started().programs / "pg_isready"), "-h", LOOPBACK]
        asked += ["-p", str(self.port), "-d", DATABASE, "-U", ADMIN, "-t", "1"]
        done = subprocess.run(  # noqa: S603 the arguments are ours
            asked, env=environment(), capture_output=True, check=False
        )
        return done.returncode == 0
