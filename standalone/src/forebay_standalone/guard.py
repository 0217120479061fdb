"""The program that ends children whose starter was killed.

It reads lines from its standard input, a Unix socket that only the starter's end keeps open:
`watch <pid> <signal>` and `forget <pid>` for process groups, `hold <number>` (with a file
descriptor) and `release <number>` for the locks of state folders. At end of file the starter is
gone: every watched group gets its signal, and SIGKILL after a grace. The locks stay held until
then, so that a new start waits for the old children instead of meeting them.

It runs as a script with `python -I -S`, hence imports nothing of this package.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterable

GRACE_SECONDS = 5.0  # enough for Postgres and Kafka to write out; nobody waits for more
POLL_SECONDS = 0.05
LARGEST_READ = 65_536


class Watch:
    """The process groups and the locks of one starter."""

    def __init__(self) -> None:
        self._signals: dict[int, int] = {}
        self._held: dict[int, int] = {}

    def note(self, line: str, descriptors: list[int]) -> None:
        """Take one line; a `hold` consumes the next descriptor received."""
        verb, *numbers = line.split()
        if verb == "watch":
            self._signals[int(numbers[0])] = int(numbers[1])
        elif verb == "forget":
            self._signals.pop(int(numbers[0]), None)
        elif verb == "hold":
            self._held[int(numbers[0])] = descriptors.pop(0)
        elif verb == "release":
            os.close(self._held.pop(int(numbers[0])))

    def end(self) -> None:
        """Signal every group, and kill what has not gone after the grace."""
        for group, number in self._signals.items():
            deliver(group, number)
            deliver(group, signal.SIGCONT)  # a suspended group acts on its signal only when resumed
        deadline = time.monotonic() + GRACE_SECONDS
        while alive(self._signals) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        for group in alive(self._signals):
            deliver(group, signal.SIGKILL)


def deliver(group: int, number: int) -> bool:
    """Signal a process group; False when nobody is left in it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def alive(groups: Iterable[int]) -> list[int]:
    """Give the groups that still have a process."""
    return [group for group in groups if deliver(group, 0)]


def follow(starter: socket.socket, watch: Watch) -> None:
    """Take lines until the starter closes its end."""
    pending = b""
    descriptors: list[int] = []
    while True:
        data, received, _, _ = socket.recv_fds(starter, LARGEST_READ, 1)
        if not data:
            return
        descriptors.extend(received)
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            watch.note(line.decode(), descriptors)


def main() -> None:
    """Follow the starter, then end what it left."""
    watch = Watch()
    with socket.socket(fileno=sys.stdin.fileno()) as starter:
        follow(starter, watch)
    watch.end()


if __name__ == "__main__":
    main()
