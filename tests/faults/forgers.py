"""Who signs without a right to it: strangers, and a key whose time is over."""

import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from forebay_kafka.envelope import TOKEN_TYPE
from forebay_kafka.records import Received
from forebay_kafka.topics import IDENTITY_HEADER
from forebay_standalone.files import write_whole

ENDED = "ended"


class Forgers:
    """Signs what a good envelope says again, now, with keys that should not be believed."""

    def __init__(self, jwks: Path) -> None:
        """Add a key to the JWKS that may have vouched yesterday."""
        known = [key for key in json.loads(jwks.read_text())["keys"] if key["kid"] != ENDED]
        self._known = str(known[-1]["kid"])
        self._stranger, self._ended = (Ed25519PrivateKey.generate() for _ in range(2))
        public = jwt.get_algorithm_by_name("EdDSA").to_jwk(self._ended.public_key(), as_dict=True)
        now = int(time.time())
        window = {"nbf": now - 2 * 86_400, "exp": now - 86_400}
        write_whole(jwks, json.dumps({"keys": [*known, {**public, "kid": ENDED, **window}]}))

    def forged(self, good: Received) -> dict[str, bytes]:
        """Envelopes that say what the record's own says, by what is wrong with them."""
        token = token_of(good)
        claims = jwt.decode(token, options={"verify_signature": False})
        claims["iat"] = int(time.time())
        return {
            "with a changed signature": token[:-8] + b"AAAAAAAA",
            "signed by a stranger": _signed(claims, self._stranger, self._known),
            "signed with a key that nobody knows": _signed(claims, self._stranger, "unheard-of"),
            "signed with a key whose time is over": _signed(claims, self._ended, ENDED),
        }


def token_of(good: Received) -> bytes:
    """The envelope of a record."""
    return good.only_header(IDENTITY_HEADER)


def _signed(claims: dict[str, Any], key: Ed25519PrivateKey, key_id: str) -> bytes:
    header = {"typ": TOKEN_TYPE, "kid": key_id}
    return jwt.encode(claims, key, "EdDSA", headers=header).encode()
