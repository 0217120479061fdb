"""Signing keys as JWKs (RFC 7517): made once, private halves readable by us alone."""

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from forebay_standalone.files import kept

PRIVATE_MEMBER = "d"  # RFC 7518 section 6.2.2 and RFC 8037 section 2
REQUIRED_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}

Jwk = dict[str, Any]


def es256_key(path: Path) -> Jwk:
    """Give the P-256 key kept at `path`, made on first use."""
    return _key(path, _new_es256)


def ed25519_key(path: Path) -> Jwk:
    """Give the Ed25519 key kept at `path`, made on first use."""
    return _key(path, _new_ed25519)


def public_jwk(key: Jwk) -> Jwk:
    """Give the public half of a private key."""
    return {name: value for name, value in key.items() if name != PRIVATE_MEMBER}


def _key(path: Path, make: Callable[[], Jwk]) -> Jwk:
    key: Jwk = json.loads(kept(path, lambda: json.dumps(make())))
    return key


def _new_es256() -> Jwk:
    key = ec.generate_private_key(ec.SECP256R1())
    return _described(ECAlgorithm.to_jwk(key, as_dict=True), "ES256")


def _new_ed25519() -> Jwk:
    key = Ed25519PrivateKey.generate()
    return _described(OKPAlgorithm.to_jwk(key, as_dict=True), "EdDSA")


def _described(key: Jwk, algorithm: str) -> Jwk:
    return {**key, "kid": _thumbprint(key), "alg": algorithm, "use": "sig"}


def _thumbprint(key: Jwk) -> str:
    """Name a key by its JWK thumbprint (RFC 7638): the same key has the same name everywhere."""
    required = {name: key[name] for name in REQUIRED_MEMBERS[key["kty"]]}
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True)
    digest = hashlib.sha256(canonical.encode()).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")
