"""The folder that holds everything of one installation, and the lock that one start has on it."""

import fcntl
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from forebay_standalone.errors import StateFolderInUse, UnsuitableFolder
from forebay_standalone.leash import own_leash

OPTION = "--state-dir"
STATE_DIR = Path(".state")
# A killed start's children have five seconds to end, and the guard that ends them holds the lock.
LEFTOVER_SECONDS = 15.0
POLL_SECONDS = 0.05


class StateFolder:
    """Paths below a state folder, and its lock."""

    def __init__(self, path: Path) -> None:
        """Name a folder; nothing is written before `acquire`."""
        self.path = path.absolute()
        self._lock: int | None = None

    @property
    def secrets(self) -> Path:
        """Keys and passwords; closed to other accounts."""
        return self.path / "secrets"

    @property
    def logs(self) -> Path:
        """One log per program."""
        return self.path / "logs"

    @property
    def audit(self) -> Path:
        """Who did what, by day."""
        return self.path / "audit"

    @property
    def ready(self) -> Path:
        """Files that programs create once they serve."""
        return self.path / "ready"

    @property
    def ports(self) -> Path:
        """The ports of the last start."""
        return self.path / "ports.json"

    def acquire(self) -> None:
        """Create the folder and lock it.

        Raises StateFolderInUse while another process holds it, UnsuitableFolder when it cannot be
        written.
        """
        try:
            self._create()
        except OSError as error:
            raise UnsuitableFolder(self.path, error, OPTION) from error
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._wait_for(lock)
        except BaseException:
            os.close(lock)
            raise
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        own_leash().hold(lock)
        self._lock = lock

    def release(self) -> None:
        """Give the folder free."""
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            own_leash().release(self._lock)
            os.close(self._lock)
            self._lock = None

    def _create(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        # Postgres may run under another account and must pass through; the secrets are closed.
        self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for folder in (self.secrets, self.logs, self.audit, self.ready):
            folder.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.path):
            pass

    def _wait_for(self, lock: int) -> None:
        """Lock, waiting while what holds it is only the end of an earlier start."""
        deadline = time.monotonic() + LEFTOVER_SECONDS
        while not _locked(lock):
            holder = _holder(lock)
            if (holder and _alive(holder)) or time.monotonic() > deadline:
                raise StateFolderInUse(self.path, holder)
            time.sleep(POLL_SECONDS)


def _locked(lock: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _holder(lock: int) -> int:
    """Read who wrote the lock file last; 0 when that one is giving it free."""
    text = os.pread(lock, 32, 0).decode().strip()
    return int(text) if text.isdigit() else 0


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
