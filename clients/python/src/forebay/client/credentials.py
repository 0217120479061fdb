"""The bearer token of each call and the credentials of the channel."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import grpc

from forebay.client.errors import Unauthenticated

Token: TypeAlias = str | Callable[[], str]
AsyncToken: TypeAlias = Token | Callable[[], Awaitable[str]]
Tls: TypeAlias = bool | bytes | str | Path | None

_LOOPBACK = ("127.", "localhost", "[::1]", "ipv4:127.", "ipv6:[::1]", "unix:")


class TokenSource:
    """Gives each call its authorization. Never puts a token into an error or a log."""

    def __init__(self, token: AsyncToken) -> None:
        self._token = token

    async def authorization(self) -> tuple[str, str]:
        """The metadata entry, with the token as it is now.

        Raises:
            Unauthenticated: the token cannot stand in a header.
        """
        token = (await self._current()).strip()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise Unauthenticated("the token is empty or has characters that no token has")
        return ("authorization", f"Bearer {token}")

    async def _current(self) -> str:
        if isinstance(self._token, str):
            return self._token
        # A callable that reads a file or asks an issuer must not hold the event loop.
        in_loop = inspect.iscoroutinefunction(self._token)
        ask: Callable[[], str | Awaitable[str]] = self._token
        token = ask() if in_loop else await asyncio.to_thread(ask)
        return token if isinstance(token, str) else await token


def channel_credentials(target: str, tls: Tls) -> grpc.ChannelCredentials | None:
    """The credentials for a target; None for a connection in clear.

    `tls` is a file of root certificates or its bytes (PEM), True for the roots that gRPC
    brings, False for a connection in clear. None is True for every target but this machine: a
    bearer token in clear belongs to whoever reads it.
    """
    if tls is None:
        tls = not target.startswith(_LOOPBACK)
    if tls is False:
        return None
    if isinstance(tls, str | Path):
        tls = Path(tls).read_bytes()
    return grpc.ssl_channel_credentials(tls if isinstance(tls, bytes) else None)
