"""The keys behind envelopes: public ones with the time that each is good for, and private ones.

Both are JWKs (RFC 7517) of type OKP. A public key vouches for what was issued in its window: from
its member `nbf` on and before its member `exp`, in seconds since 1970, as OpenID Federation 1.0
dates keys; either may be missing. What counts is the time in the envelope, never a clock here:
what was good when it was accepted is good in every replay of the log.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


@dataclass(frozen=True)
class VerificationKey:
    """A public key; its window is in seconds since 1970, without `expires` itself."""

    key: Ed25519PublicKey
    not_before: float
    expires: float

    def vouches_at(self, issue_time: int) -> bool:
        """Whether it may vouch for an envelope that was issued then."""
        return self.not_before <= issue_time < self.expires


@dataclass(frozen=True)
class SigningKey:
    """A private key and its id."""

    key: Ed25519PrivateKey
    key_id: str


VerificationKeys = Mapping[str, VerificationKey]
"""Public keys by their ids."""

SigningKeys = tuple[SigningKey, ...]
"""Private keys, the one to use first in front."""


def verification_keys(jwks: str | bytes) -> VerificationKeys:
    """Read a JWKS of public keys. Raises ValueError, which names no key material."""
    keys: dict[str, VerificationKey] = {}
    for entry in _entries(jwks):
        key = _jwk(entry)
        if not isinstance(key.key, Ed25519PublicKey) or not key.key_id:
            raise ValueError("every envelope key must be a public Ed25519 JWK with a kid")
        if key.key_id in keys:
            raise ValueError(f"two envelope keys have the kid {key.key_id}")
        window = _time(entry, "nbf", -math.inf), _time(entry, "exp", math.inf)
        if window[0] >= window[1]:
            raise ValueError(f"the envelope key {key.key_id} ends before it begins")
        keys[key.key_id] = VerificationKey(key.key, *window)
    if not keys:
        raise ValueError("the set of envelope keys is empty")
    return keys


def public_jwks(keys: VerificationKeys) -> str:
    """The JWKS of public keys, as JSON."""
    algorithm = jwt.get_algorithm_by_name("EdDSA")
    entries = [
        {
            **algorithm.to_jwk(key.key, as_dict=True),
            "kid": key_id,
            "alg": "EdDSA",
            "use": "sig",
            **({"nbf": key.not_before} if math.isfinite(key.not_before) else {}),
            **({"exp": key.expires} if math.isfinite(key.expires) else {}),
        }
        for key_id, key in keys.items()
    ]
    return json.dumps({"keys": entries})


def signing_keys(content: str | bytes) -> SigningKeys:
    """Read one private JWK, or a JWKS of several. Raises ValueError, as above."""
    keys = []
    for entry in _entries(content):
        key = _jwk(entry)
        if not isinstance(key.key, Ed25519PrivateKey) or not key.key_id:
            raise ValueError("the envelope key must be a private Ed25519 JWK with a kid")
        keys.append(SigningKey(key.key, key.key_id))
    if not keys:
        raise ValueError("the set of envelope keys is empty")
    return tuple(keys)


def _entries(content: str | bytes) -> list[Any]:
    try:
        parsed = json.loads(content)
    # Python's parser recurses per level; its own text would show what the file holds.
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON") from error
    if not isinstance(parsed, dict):
        raise ValueError("neither a JWK nor a JWKS")  # noqa: TRY004 one kind of error for files
    entries = parsed.get("keys", [parsed])
    if not isinstance(entries, list):
        raise ValueError("`keys` must be a list")  # noqa: TRY004 as above
    return entries


def _jwk(entry: Any) -> jwt.PyJWK:  # noqa: ANN401 whatever JSON can hold
    try:
        return jwt.PyJWK.from_dict(entry)
    # A wrong member surfaces as any of these.
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not an Ed25519 JWK: {type(error).__name__}") from error


def _time(entry: Mapping[str, Any], member: str, default: float) -> float:
    time = entry.get(member, default)
    if isinstance(time, bool) or not isinstance(time, int | float) or math.isnan(time):
        raise ValueError(f"`{member}` of an envelope key must be seconds since 1970")
    return time
