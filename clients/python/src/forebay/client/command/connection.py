"""Which server the commands talk to, and as whom."""

from dataclasses import dataclass, field
from pathlib import Path

import click

from forebay.client.credentials import Token
from forebay.client.retry import RetryPolicy
from forebay.client.sync_client import Client

_PATIENCE = 5.0  # a person waits through a restart of the server, not longer


@dataclass(frozen=True)
class Connection:
    """What the options before a command's name say; every command finds it as `ctx.obj`."""

    server: str
    token: str | None = field(repr=False, default=None)
    token_file: Path | None = None
    ca: Path | None = None
    plaintext: bool = False

    def open(self, timeout: float = 30.0) -> Client:
        """A client for this server.

        Raises:
            click.UsageError: there is no token.
        """
        return Client(
            self.server,
            self._bearer(),
            tls=False if self.plaintext else self.ca,
            timeout=timeout,
            retry=RetryPolicy(patience=_PATIENCE),
        )

    def _bearer(self) -> Token:
        path = self.token_file
        if path is not None:
            return lambda: path.read_text(encoding="utf-8", errors="replace")
        if not self.token:
            raise click.UsageError(
                "there is no token: give one with --token or --token-file, "
                "or set FOREBAY_TOKEN (`forebay token` makes one for `forebay up`)"
            )
        return self.token
