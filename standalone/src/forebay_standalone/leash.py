"""Our end of the guard: no child outlives the process that started it, however that one ends."""

import atexit
import functools
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")


class Leash:
    """One guard process and the socket whose closing tells it that we are gone.

    A kernel death signal (PR_SET_PDEATHSIG) would need no process, but follows the starting
    *thread*, reaches no grandchild, and cannot be answered by a clean shutdown.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._guard = subprocess.Popen(  # noqa: S603 the arguments are ours
                [sys.executable, "-I", "-S", str(GUARD)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # an interrupt typed at the terminal must not reach it
            )
        self._socket = ours
        self._sending = threading.Lock()
        atexit.register(self.drop)

    def drop(self) -> None:
        """Let go, as our end does anyway, and wait for the guard: it ends what it still watches."""
        self._socket.close()
        self._guard.wait()

    def watch(self, pid: int, stop_signal: int) -> None:
        """End this process group with this signal when we are gone."""
        self._send(f"watch {pid} {stop_signal}")

    def forget(self, pid: int) -> None:
        """Leave this process group alone: it has ended."""
        self._send(f"forget {pid}")

    def hold(self, descriptor: int) -> None:
        """Keep a locked file open until every watched group has ended."""
        with self._sending:
            socket.send_fds(self._socket, [f"hold {descriptor}\n".encode()], [descriptor])

    def release(self, descriptor: int) -> None:
        """Close a file that is held; to be called before it is closed here."""
        self._send(f"release {descriptor}")

    def _send(self, line: str) -> None:
        with self._sending:
            self._socket.sendall(f"{line}\n".encode())


@functools.cache
def _leash_of(_pid: int) -> Leash:
    return Leash()


def own_leash() -> Leash:
    """Give the leash of this process; it is one per process because it follows that one's life."""
    return _leash_of(os.getpid())
