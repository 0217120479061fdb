"""The files of envelope keys, read again when they change: keys rotate without a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from forebay_kafka.envelope import EnvelopeSigner, EnvelopeVerifier
from forebay_kafka.envelope_keys import (
    SigningKeys,
    VerificationKeys,
    signing_keys,
    verification_keys,
)
from forebay_kafka.watched_file import INTERVAL_SECONDS, ConfigurationInvalid, WatchedFile

KeysT = TypeVar("KeysT")


class VerificationKeyFile(WatchedFile[VerificationKeys]):
    """Watches a JWKS; its `verifier` believes what the file says now.

    An envelope with a key id that nobody knows is a reason to look at once: an edge may have
    begun to sign with a key that was written a moment ago.
    """

    def __init__(self, path: Path, interval_seconds: float = INTERVAL_SECONDS) -> None:
        """Read it once; ConfigurationInvalid when there are no keys to begin with."""
        super().__init__(path, _reading(verification_keys), interval_seconds)
        self.verifier = EnvelopeVerifier(self.current, self.look_at_once)

    def adopted(self, value: VerificationKeys) -> None:
        """Believe these keys from now on, and no other."""
        self.verifier.use(value)
        super().adopted(value)


class SigningKeyFile(WatchedFile[SigningKeys]):
    """Watches the edge's private keys; its `signer` signs with one that others believe now."""

    def __init__(
        self,
        path: Path,
        verifier: EnvelopeVerifier,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        """Read it once; ConfigurationInvalid when there is no key to begin with."""
        super().__init__(path, _reading(signing_keys), interval_seconds)
        self.signer = EnvelopeSigner(self.current, verifier.believes)

    def adopted(self, value: SigningKeys) -> None:
        """Sign with these keys from now on."""
        self.signer.use(value)
        super().adopted(value)


def _reading(parse: Callable[[bytes], KeysT]) -> Callable[[bytes, Path], KeysT]:
    def read(content: bytes, path: Path) -> KeysT:
        try:
            return parse(content)
        except ValueError as error:
            raise ConfigurationInvalid(f"{path}: {error}") from error

    return read
