"""Ports on loopback: checked before use, or chosen free and remembered."""

import json
import random
import socket
from pathlib import Path

from forebay_standalone.errors import PortInUse

LOOPBACK = "127.0.0.1"
# Below the range that systems give to outgoing connections, which could take a port between
# our choosing it and the program's binding it.
CHOICE = range(20_000, 32_000)
ATTEMPTS = 100


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: skip TIME_WAIT
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port(avoiding: frozenset[int] = frozenset()) -> int:
    """Choose a port that nobody listens on."""
    for port in random.sample(CHOICE, ATTEMPTS):
        if port not in avoiding and is_free(port):
            return port
    raise PortInUse(CHOICE.start, f"nothing: {ATTEMPTS} ports up to {CHOICE.stop} are taken")


def require_free(port: int, option: str) -> None:
    """Raise PortInUse, naming the option, when a port asked for is taken."""
    if not is_free(port):
        raise PortInUse(port, option)


def remembered_ports(path: Path, names: tuple[str, ...]) -> dict[str, int]:
    """Give a free port per name: the one of last time where it is still free."""
    former: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    chosen: dict[str, int] = {}
    for name in names:
        port: int = former.get(name, 0)
        taken = frozenset(chosen.values())
        usable = port and port not in taken and is_free(port)
        chosen[name] = port if usable else free_port(taken)
    path.write_text(json.dumps(chosen, indent=2) + "\n")
    return chosen
