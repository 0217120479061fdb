"""The system account that Postgres runs as when we are root, which it refuses to be."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from forebay_standalone.errors import NoPostgresAccount

ACCOUNT = "forebay-postgres"
# Two arguments, the group's and the user's number; the rest is what to become.
_BECOME = """
import os, sys
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[2]))
os.execv(sys.argv[3], sys.argv[3:])
"""


@dataclass(frozen=True)
class Account:
    """A user of this system."""

    name: str
    uid: int
    gid: int

    def owns(self, path: Path) -> None:
        """Give a file or folder to this account."""
        os.chown(path, self.uid, self.gid)

    def running(self, command: Sequence[str]) -> list[str]:
        """Give the command that gives up root and becomes `command`, an absolute path first.

        `subprocess` would change accounts between fork and exec, and that fork runs the handlers
        of gRPC in the child, where they may crash before anything is executed.
        """
        become = [sys.executable, "-I", "-S", "-c", _BECOME, str(self.gid), str(self.uid)]
        return [*become, *command]


def postgres_account() -> Account | None:
    """Give the account to run Postgres as: ours (None) unless we are root."""
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        return _look_up()
    reason = _create()
    try:
        return _look_up()
    except KeyError:
        raise NoPostgresAccount(ACCOUNT, reason) from None


def _look_up() -> Account:
    entry = pwd.getpwnam(ACCOUNT)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _create() -> str:
    """Create the account; give what `useradd` said, for the case that it is still missing."""
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd is None:
        return "there is no useradd"
    command = [useradd, "--system", "--user-group", "--no-create-home", ACCOUNT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 the arguments are ours
    return done.stderr.strip() or f"useradd ended with status {done.returncode}"


def anyone_can_reach(folder: Path) -> bool:
    """Whether an account without rights of its own can pass through every parent of a folder."""
    parents = folder.resolve().parents
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in parents)
