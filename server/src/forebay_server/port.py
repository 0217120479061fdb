"""The port that all processes of an edge share (SO_REUSEPORT)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from forebay_server.settings import split_address


class PortInUse(Exception):
    """Somebody else listens on the address, or it is not one of this machine."""


@contextmanager
def reserved_port(address: str) -> Iterator[str]:
    """Hold `host:port` for processes that share it; yields it with the port that port 0 became.

    Nobody connects to the socket, which never listens. Raises PortInUse.
    """
    host, port = split_address(address)
    with _bound(host, port, reuse_port=False) as probe:
        # Without SO_REUSEPORT a bind fails where another edge listens; with it, it would join in.
        port = probe.getsockname()[1]
    with _bound(host, port, reuse_port=True):
        yield f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def require_free(address: str) -> None:
    """Raise PortInUse when nobody could listen on `host:port`."""
    _bound(*split_address(address), reuse_port=False).close()


def _bound(host: str, port: int, *, reuse_port: bool) -> socket.socket:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortInUse(f"cannot listen on {host}:{port}: {error.strerror}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(place)
    except OSError as error:
        bound.close()
        raise PortInUse(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return bound
