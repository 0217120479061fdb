"""What can go wrong on one machine, each with the sentence a person needs.

```
StandaloneError                exit status 1, printed without a traceback
├── UnsuitableFolder           a folder cannot be written
├── StateFolderInUse           another `forebay up` holds the folder
├── PortInUse                  a port asked for is taken
├── OwnedVariable              the environment sets what `forebay up` decides
├── NotThisMachine             a development issuer beyond loopback
├── NoDevelopmentKey           a token was asked of a folder that never started
├── DownloadFailed             Kafka's jars cannot be fetched or do not fit their digests
├── NoPostgresAccount          root without a way to create the account Postgres runs as
└── ProgramFailed              a child ended or did not serve in time
```
"""

from collections.abc import Sequence
from pathlib import Path

import click

LAST_LINES = 12  # one terminal screen keeps the message and the cause together


class StandaloneError(click.ClickException):
    """Root of the tree; `click` prints the message and exits with status 1."""


class UnsuitableFolder(StandaloneError):
    """A folder cannot be created or written."""

    def __init__(self, folder: Path, cause: OSError, option: str) -> None:
        """Name the folder, the system's reason and the option that chooses another."""
        reason = cause.strerror or str(cause)
        super().__init__(f"cannot write to {folder}: {reason}; choose another with {option}")
        self.folder = folder


class StateFolderInUse(StandaloneError):
    """Another process holds the state folder."""

    def __init__(self, folder: Path, holder: int) -> None:
        """Name the folder and the process id of its holder."""
        super().__init__(f"state folder {folder} is in use by process {holder}")
        self.holder = holder


class PortInUse(StandaloneError):
    """A port that was asked for is taken."""

    def __init__(self, port: int, option: str) -> None:
        """Name the port and the option that chooses another."""
        super().__init__(f"port {port} is already in use; choose another with {option}")
        self.port = port


class OwnedVariable(StandaloneError):
    """The environment sets a variable whose value `forebay up` decides."""

    def __init__(self, names: Sequence[str]) -> None:
        """Name the variables."""
        listed = ", ".join(names)
        super().__init__(f"{listed}: decided by `forebay up`, but set in the environment; unset it")
        self.names = tuple(names)


class NotThisMachine(StandaloneError):
    """The development issuer was pointed beyond loopback."""

    def __init__(self, address: str) -> None:
        """Name the address."""
        super().__init__(
            f"{address} is not a loopback address: the development issuer hands a token to anyone "
            "who can read its key, so it serves this machine alone"
        )
        self.address = address


class NoDevelopmentKey(StandaloneError):
    """A token was asked of a state folder that has no issuer key."""

    def __init__(self, folder: Path) -> None:
        """Name the folder."""
        super().__init__(f"no issuer key in {folder}: run `forebay up` there first")


class DownloadFailed(StandaloneError):
    """A jar cannot be fetched, or what came does not fit its digest."""

    def __init__(self, jar: str, reason: str, variable: str) -> None:
        """Name the jar, why, and the variable that names a mirror."""
        super().__init__(
            f"could not download {jar}: {reason}\n"
            "Kafka's jars are fetched once from a Maven repository; check the network, or set "
            f"{variable} to a mirror, and start again. What has arrived is kept."
        )
        self.jar = jar


class NoPostgresAccount(StandaloneError):
    """Root asked for Postgres and no account for it can be made."""

    def __init__(self, account: str, reason: str) -> None:
        """Name the account and the reason."""
        super().__init__(
            f"Postgres refuses to run as root, and the account {account} cannot be created: "
            f"{reason}; start as an ordinary user instead"
        )


class ProgramFailed(StandaloneError):
    """A child ended, or did not serve in time."""

    def __init__(self, name: str, what: str, log: Path) -> None:
        """Name the program and its log, and quote the log's last lines."""
        super().__init__(f"{name} {what}; its log is {log}{quoted_end(log)}")
        self.name = name
        self.log = log


def quoted_end(log: Path) -> str:
    """Give the last lines of a log, indented, or nothing when there are none."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    except OSError:
        return ""
    return "".join(f"\n    {line}" for line in lines)
