"""A Postgres data folder: where it lies, how it is made, and how a killed server leaves it."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from forebay_standalone.account import Account, anyone_can_reach
from forebay_standalone.errors import ProgramFailed
from forebay_standalone.files import PRIVATE, kept, random_hex, write_whole
from forebay_standalone.postgres_programs import SYSTEM_FOLDER
from forebay_standalone.procfs import processes_in

ADMIN = "postgres"
DATABASE = "forebay"
INITDB = (
    f"--username={ADMIN}",
    "--encoding=UTF8",
    # The builtin provider sorts alike on every machine; the C library's order moves under indexes.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth-host=scram-sha-256",
    "--auth-local=scram-sha-256",
    "--no-instructions",
)
INIT_SECONDS = 60
LEFTOVER_SECONDS = 10.0
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class PostgresData:
    """The data folder below `folder`, the programs that serve it, and whom they run as."""

    folder: Path
    programs: Path
    account: Account | None
    log: Path

    @property
    def path(self) -> Path:
        """The data folder itself.

        It lies in `folder`, unless Postgres needs another account and that one could not pass
        through the parents: then in the system's folder, under a name that `folder` remembers.
        """
        if self.account is None or anyone_can_reach(self.folder / "data"):
            return self.folder / "data"
        name = kept(self.folder / "data-name", lambda: random_hex(8))
        return SYSTEM_FOLDER / f"data-{name}" / "data"

    def ensure(self) -> None:
        """Make the folder on first use; one that was cut off begins again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.account and os.access(self.folder, os.W_OK):
            self.folder.chmod(0o711)  # the account passes through, and lists nothing
        path = self.path
        if path.exists():
            return
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        fresh = path.with_name("data.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self.account:
            self.account.owns(fresh)
        self._initialise(fresh)
        fresh.rename(path)

    def clear_leftovers(self) -> None:
        """End what a killed server left, and drop its pid file.

        Postgres keeps away from a pid file whose number is alive, also when the number belongs to
        an unrelated process by now, as it soon does in a container.
        """
        left = processes_in(self.path)
        for number in (signal.SIGINT, signal.SIGKILL):
            for pid in left:
                for each in (number, signal.SIGCONT):
                    with suppress(ProcessLookupError):
                        os.kill(pid, each)
            deadline = time.monotonic() + LEFTOVER_SECONDS
            while left and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
                left = processes_in(self.path)
        (self.path / "postmaster.pid").unlink(missing_ok=True)

    def erase(self) -> None:
        """Remove the data; nothing may serve them."""
        path = self.path
        shutil.rmtree(path if path.parent == self.folder else path.parent)

    def _initialise(self, fresh: Path) -> None:
        secret = fresh.with_name("initial-password")
        write_whole(secret, admin_password(self.folder), PRIVATE)
        if self.account:
            self.account.owns(secret)
        try:
            self._run("initdb", *INITDB, f"--pgdata={fresh}", f"--pwfile={secret}")
        finally:
            secret.unlink()
        # Single-user mode needs no server: the database exists before anyone can connect.
        create = f"CREATE DATABASE {DATABASE}\n"
        self._run("postgres", "--single", "-D", str(fresh), ADMIN, statement=create)

    def _run(self, program: str, *arguments: str, statement: str = "") -> None:
        command = [str(self.programs / program), *arguments]
        with self.log.open("ab") as log:
            done = subprocess.run(  # noqa: S603 the arguments are ours
                self.account.running(command) if self.account else command,
                input=statement.encode(),
                stdout=log,
                stderr=log,
                env=environment(),
                cwd="/",
                timeout=INIT_SECONDS,
                check=False,
            )
        if done.returncode:
            raise ProgramFailed("postgres", f"could not make its data folder ({program})", self.log)


def admin_password(folder: Path) -> str:
    """Give the superuser's password, made on first use and readable by us alone."""
    return kept(folder / "admin-password", random_hex)


def environment() -> dict[str, str]:
    """Nothing of ours: a stray PGDATA or PGPORT would change what the programs do."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C", "TZ": "UTC"}
