"""Sets of public keys (RFC 7517), and which of their keys the edge believes."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.types import JWKDict

from forebay_server.governance.strict_json import JsonRefused, parse_object

MAX_KEYS = 64  # issuers publish a handful; more is a mistake or an attack
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518, section 6
OPERATIONS = frozenset({"verify", "sign"})  # RFC 7517, section 4.3: the pair that belongs together
MIN_RSA_BITS = 2048  # NIST SP 800-131A: shorter RSA keys do not sign any more
MAX_RSA_BITS = 8192  # a longer key costs every verification more than it adds
MIN_RSA_EXPONENT = 65_537  # FIPS 186-5, section 5.4
RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
CURVE_ALGORITHMS = {  # RFC 7518, section 3.4, and RFC 8037: an algorithm belongs to one curve
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
}

_log = logging.getLogger(__name__)


class KeysRefused(ValueError):
    """The bytes are no set of keys, or a key of it breaks a rule."""


@dataclass(frozen=True)
class VerificationKey:
    """A public key with the algorithms it may verify; `fingerprint` changes with the key."""

    key: Any  # cryptography's public key types have no common parent
    algorithms: frozenset[str]
    fingerprint: str


def parse_keys(content: bytes) -> Mapping[str, VerificationKey]:
    """The usable keys of a JWKS by `kid`; a key that breaks a rule is left out and logged.

    A set may be empty: so an issuer withdraws its last key. Raises KeysRefused when the bytes are
    no set of keys.
    """
    try:
        entries = parse_object(content).get("keys")
    except JsonRefused as error:
        raise KeysRefused("the set of keys is not strict JSON") from error
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise KeysRefused("the set of keys has no list of keys, or too long a one")
    named = [entry for entry in entries if isinstance(entry, dict) and _kid(entry)]
    counts = Counter(_kid(entry) for entry in named)
    keys: dict[str, VerificationKey] = {}
    for entry in named:
        kid = _kid(entry)
        try:
            keys[kid] = _verification_key(entry, counts[kid])
        except KeysRefused as error:
            _log.warning("a key is left out of the set", extra={"kid": kid, "rule": str(error)})
    return keys


def _kid(entry: JWKDict) -> str:
    kid = entry.get("kid")
    return kid if isinstance(kid, str) else ""


def _verification_key(entry: JWKDict, namesakes: int) -> VerificationKey:
    if namesakes > 1:
        raise KeysRefused("two keys bear this kid")
    if PRIVATE_MEMBERS & entry.keys():
        raise KeysRefused("the key is private")
    if entry.get("use", "sig") != "sig":
        raise KeysRefused("the key's use is not `sig`")
    if not _verifies(entry.get("key_ops", ["verify"])):
        raise KeysRefused("the key's key_ops are not those of a signature")
    algorithms = _algorithms(entry)
    try:
        key = jwt.PyJWK.from_dict(entry, algorithm=min(algorithms)).key
    # A member of a wrong type surfaces as whatever the arithmetic on it raises.
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise KeysRefused("the key's numbers are wrong") from error
    if isinstance(key, RSAPublicKey):
        _require_strength(key)
    return VerificationKey(key, algorithms, json.dumps(entry, sort_keys=True))


def _verifies(operations: object) -> bool:
    if not isinstance(operations, list) or not all(isinstance(word, str) for word in operations):
        return False
    return "verify" in operations and OPERATIONS.issuperset(operations)


def _require_strength(key: RSAPublicKey) -> None:
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise KeysRefused("the RSA key is too short or too long")
    if key.public_numbers().e < MIN_RSA_EXPONENT:
        raise KeysRefused("the RSA key's exponent is too small")


def _algorithms(entry: JWKDict) -> frozenset[str]:
    kind = entry.get("kty")
    fitting = (
        RSA_ALGORITHMS
        if kind == "RSA"
        else CURVE_ALGORITHMS.get((str(kind), str(entry.get("crv"))), frozenset())
    )
    declared = entry.get("alg")
    if declared is not None:
        fitting = fitting & {str(declared)}
    if not fitting:
        raise KeysRefused("the key's type, curve and alg do not fit together")
    return fitting
