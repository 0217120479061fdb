"""One program run as a child: in a session of its own, on a leash, with its output in a log."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from forebay_standalone.account import Account
from forebay_standalone.leash import own_leash

KILL_SECONDS = 10.0  # the kernel needs longer than this only for a process stuck in a broken disk


@dataclass(frozen=True)
class Launch:
    """How a program is started: everything that a restart repeats."""

    name: str
    command: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM


class ChildProcess:
    """Starts, stops, kills, suspends and resumes one program; it can be started again."""

    def __init__(self, launch: Launch) -> None:
        """Keep the launch; nothing runs before `start`."""
        self.launch = launch
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, also after the end; None before the first start."""
        return self._popen.pid if self._popen else None

    @property
    def alive(self) -> bool:
        """Whether the program runs now."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def status(self) -> int | None:
        """Exit status of the last run (negative: the signal), None while it runs."""
        return self._popen.poll() if self._popen else None

    def start(self) -> None:
        """Start the program; its output is appended to its log."""
        launch = self.launch
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        command = list(launch.command)
        with launch.log.open("ab") as log:
            self._popen = subprocess.Popen(  # noqa: S603 the table of programs is ours
                launch.account.running(command) if launch.account else command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=launch.folder,
                env=dict(launch.env),
                start_new_session=True,
            )
        own_leash().watch(self._popen.pid, launch.stop_signal)

    def stop(self, timeout: float) -> bool:
        """Ask it to end and kill it after `timeout` seconds; True when it ended by itself."""
        self.signal(self.launch.stop_signal)
        self.signal(signal.SIGCONT)  # suspended, it would not see the request
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self._sweep()
        return True

    def kill(self) -> None:
        """Kill it and what it started, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait(KILL_SECONDS)
        self._sweep()

    def suspend(self) -> None:
        """Stop scheduling the program: its sockets stay open and answer nothing."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended program go on."""
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Signal the program's whole process group; nothing when it has ended."""
        if self.alive and self._popen:
            with suppress(ProcessLookupError):
                os.killpg(self._popen.pid, number)

    def wait(self, timeout: float) -> int | None:
        """Wait for the end; raises subprocess.TimeoutExpired after `timeout` seconds."""
        return self._popen.wait(timeout) if self._popen else None

    def _sweep(self) -> None:
        """Kill what the program left in its process group, and take it off the leash."""
        if self._popen is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        own_leash().forget(self._popen.pid)
