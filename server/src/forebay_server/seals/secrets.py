"""The secrets behind the seals: a current one, and the previous one while it goes out of use."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from forebay_kafka.watched_file import INTERVAL_SECONDS, ConfigurationInvalid, WatchedFile

MIN_SECRET_BYTES = 32  # as long as the hash, as RFC 2104, section 3, advises
SEAL_BYTES = 16  # 128 bits: guessing one at a million a second takes longer than the sun has


class Seals(Protocol):
    """Makes seals, and knows its own."""

    def seal(self, purpose: str, *parts: bytes, at: float | None = None) -> bytes:
        """Seal parts for a purpose, as of a time in seconds since 1970; of now without one."""

    def holds(self, seal: bytes, purpose: str, *parts: bytes) -> bool:
        """Whether a seal was made over exactly these parts."""


@dataclass(frozen=True, repr=False)
class SealSecrets:
    """Seals with the secret of the time and accepts the seal of either.

    The current one is used from `since` on, in seconds since 1970. What is dated before, such as
    the name of a call that is tried again, gets the seal that it had: the secret follows from the
    date alone, and every edge makes the same.
    """

    current: bytes
    previous: bytes | None = None
    since: float = 0.0

    @classmethod
    def parse(cls, content: bytes, path: Path) -> SealSecrets:
        """Read the content of a file; ConfigurationInvalid never shows what it holds."""
        lines = [line.split() for line in content.decode(errors="replace").splitlines() if line]
        if not 1 <= len(lines) <= 2 or not all(1 <= len(line) <= 2 for line in lines):  # noqa: PLR2004 current and previous; each with a time
            raise ConfigurationInvalid(f"{path}: holds one or two secrets, a line each")
        try:
            secrets = [bytes.fromhex(line[0]) for line in lines]
        except ValueError:
            raise ConfigurationInvalid(f"{path}: a secret must be in hexadecimal") from None
        if any(len(secret) < MIN_SECRET_BYTES for secret in secrets):
            raise ConfigurationInvalid(f"{path}: a secret has at least {MIN_SECRET_BYTES} bytes")
        since = _since(lines[0][1], path) if len(lines[0]) > 1 else 0.0
        return cls(secrets[0], secrets[1] if len(secrets) > 1 else None, since)

    def seal(self, purpose: str, *parts: bytes, at: float | None = None) -> bytes:
        """HMAC-SHA-256 (RFC 2104) over a purpose and length-prefixed parts, 16 bytes of it."""
        secret = self.current
        if self.previous and (time.time() if at is None else at) < self.since:
            secret = self.previous
        return _mac(secret, purpose, parts)

    def holds(self, seal: bytes, purpose: str, *parts: bytes) -> bool:
        """Whether a seal was made over exactly these parts, in constant time."""
        secrets = (self.current, self.previous) if self.previous else (self.current,)
        return any(hmac.compare_digest(seal, _mac(secret, purpose, parts)) for secret in secrets)


class SealFile(WatchedFile[SealSecrets]):
    """Seals with the secrets that a file holds now."""

    def __init__(self, path: Path, interval_seconds: float = INTERVAL_SECONDS) -> None:
        """Read it once; ConfigurationInvalid when there is no secret to begin with."""
        super().__init__(path, SealSecrets.parse, interval_seconds)

    def seal(self, purpose: str, *parts: bytes, at: float | None = None) -> bytes:
        """Seal as `SealSecrets` does."""
        return self.current.seal(purpose, *parts, at=at)

    def holds(self, seal: bytes, purpose: str, *parts: bytes) -> bool:
        """Judge as `SealSecrets` does."""
        return self.current.holds(seal, purpose, *parts)


def _since(text: str, path: Path) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigurationInvalid(f"{path}: a secret's time must be such as 2026-11-28T12:00Z")
    return moment.timestamp()


def _mac(secret: bytes, purpose: str, parts: tuple[bytes, ...]) -> bytes:
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    for part in (purpose.encode(), *parts):
        # The length in front keeps `ab|c` and `a|bc` apart.
        mac.update(len(part).to_bytes(4, "big") + part)
    return mac.digest()[:SEAL_BYTES]
