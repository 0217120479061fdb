"""The secrets behind the seals: a current one, and the previous one while it goes out of use."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

MIN_SECRET_BYTES = 32  # as long as the hash, as RFC 2104, section 3, advises


@dataclass(frozen=True, repr=False)
class SealSecrets:
    """Seals with the current secret and accepts the seal of either."""

    current: bytes
    previous: bytes | None = None

    @classmethod
    def from_file(cls, path: Path) -> SealSecrets:
        """Read one or two secrets in hexadecimal, a line each, the current one first."""
        secrets = [bytes.fromhex(line) for line in path.read_text().split()]
        if not 1 <= len(secrets) <= 2:  # noqa: PLR2004 current and previous
            raise ValueError("a seal file holds one or two secrets, a line each")
        if any(len(secret) < MIN_SECRET_BYTES for secret in secrets):
            raise ValueError(f"a seal secret has at least {MIN_SECRET_BYTES} bytes")
        return cls(*secrets)

    def seal(self, purpose: str, *parts: bytes) -> bytes:
        """HMAC-SHA-256 (RFC 2104) over a purpose and length-prefixed parts, 16 bytes of it."""
        return _mac(self.current, purpose, parts)

    def holds(self, seal: bytes, purpose: str, *parts: bytes) -> bool:
        """Whether a seal was made over exactly these parts, in constant time."""
        secrets = (self.current, self.previous) if self.previous else (self.current,)
        return any(hmac.compare_digest(seal, _mac(secret, purpose, parts)) for secret in secrets)


SEAL_BYTES = 16  # 128 bits: guessing one at a million a second takes longer than the sun has


def _mac(secret: bytes, purpose: str, parts: tuple[bytes, ...]) -> bytes:
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    for part in (purpose.encode(), *parts):
        # The length in front keeps `ab|c` and `a|bc` apart.
        mac.update(len(part).to_bytes(4, "big") + part)
    return mac.digest()[:SEAL_BYTES]
