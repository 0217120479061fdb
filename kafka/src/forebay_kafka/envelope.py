"""The envelope: a signed statement of who caused a record, which rides in a header.

It is a compact JWS (RFC 7515) signed with Ed25519 (RFC 8037). The edge alone holds the private
key; stages verify with a configured JWKS (RFC 7517).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.types import Options

from forebay_kafka.errors import IdentityInvalid
from forebay_kafka.identity import GenerationLimits, Grant, Identity

ALGORITHM = "EdDSA"
TOKEN_TYPE = "forebay-identity+jwt"  # noqa: S105 a media type (RFC 7515, section 4.1.9)
# 64 groups and 64 readers of 255 bytes, escaped for JSON and in base64, take up to 200 KiB.
MAX_TOKEN_BYTES = 256 * 1024
CACHED_VERDICTS = 4_096  # an answer has tens of records with one token
MAX_CACHED_BYTES = 4_096  # times the verdicts is 16 MiB; larger tokens are rare and judged anew


@dataclass(frozen=True)
class Statement:
    """What the edge says about one record besides who caused it.

    `visibility` and `readers` are those of a document; `expire_time`, in seconds since 1970, is
    the deadline of a query, and `grants` is what it may search beyond the caller's own tenant.
    """

    name: str
    visibility: int = 0
    readers: tuple[str, ...] = ()
    expire_time: int | None = None
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True)
class Envelope:
    """A verified envelope.

    `record_type` and `value_sha256` (hexadecimal) are those of the record that the edge wrote;
    records derived from it carry the same envelope.
    """

    identity: Identity
    record_type: str
    value_sha256: str
    statement: Statement
    issue_time: int

    @property
    def name(self) -> str:
        """The resource that the record is about."""
        return self.statement.name


class EnvelopeSigner:
    """Signs envelopes with one private key, a JWK of type OKP."""

    def __init__(self, private_jwk: str) -> None:
        key = jwt.PyJWK.from_json(private_jwk)
        if not isinstance(key.key, Ed25519PrivateKey) or not key.key_id:
            raise ValueError("the envelope key must be a private Ed25519 JWK with a kid")
        self._key = key.key
        self._headers = {"typ": TOKEN_TYPE, "kid": key.key_id}

    @classmethod
    def from_file(cls, path: Path) -> EnvelopeSigner:
        """Read the key from a file that holds one JWK."""
        return cls(path.read_text())

    def seal(
        self, identity: Identity, record_type: str, value: bytes, statement: Statement
    ) -> bytes:
        """State that `identity` caused the record with this value; the header's bytes."""
        envelope = Envelope(
            identity=identity,
            record_type=record_type,
            value_sha256=hashlib.sha256(value).hexdigest(),
            statement=statement,
            issue_time=int(time.time()),
        )
        token = jwt.encode(_claims(envelope), self._key, ALGORITHM, headers=self._headers)
        return token.encode()


class EnvelopeVerifier:
    """Verifies envelopes against a set of public keys and remembers its verdicts."""

    def __init__(self, jwks: str) -> None:
        self._keys = _public_keys(jwks)
        self._verdicts: OrderedDict[bytes, Envelope] = OrderedDict()

    @classmethod
    def from_file(cls, path: Path) -> EnvelopeVerifier:
        """Read the keys from a file that holds a JWKS."""
        return cls(path.read_text())

    def verify(self, token: bytes) -> Envelope:
        """The envelope behind a header's bytes; IdentityInvalid when nobody vouches for it."""
        known = self._verdicts.get(token)
        if known is not None:
            self._verdicts.move_to_end(token)  # a long answer stays known however many others come
            return known
        judged = self._judge(token)
        if len(token) <= MAX_CACHED_BYTES:
            self._verdicts[token] = judged
        if len(self._verdicts) > CACHED_VERDICTS:
            self._verdicts.popitem(last=False)
        return judged

    def _judge(self, token: bytes) -> Envelope:
        if len(token) > MAX_TOKEN_BYTES:
            raise IdentityInvalid("the envelope is too large")
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys[str(header.get("kid"))]
            if header.get("typ") != TOKEN_TYPE:
                raise IdentityInvalid("the envelope is of another type")
            # Whether a query is too late is its stage's business: an old one still has an owner.
            # And an edge whose clock is a second ahead of a stage's is no forger.
            options: Options = {"verify_exp": False, "verify_iat": False}
            return _envelope(jwt.decode(token, key, [ALGORITHM], options=options))
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise IdentityInvalid("the envelope does not verify") from error


def _public_keys(jwks: str) -> dict[str, Ed25519PublicKey]:
    keys: dict[str, Ed25519PublicKey] = {}
    for entry in json.loads(jwks)["keys"]:
        key = jwt.PyJWK.from_dict(entry)
        if not isinstance(key.key, Ed25519PublicKey) or not key.key_id:
            raise ValueError("every envelope key must be a public Ed25519 JWK with a kid")
        keys[key.key_id] = key.key
    if not keys:
        raise ValueError("the set of envelope keys is empty")
    return keys


def _claims(envelope: Envelope) -> dict[str, Any]:
    identity, statement = envelope.identity, envelope.statement
    claims: dict[str, Any] = {
        "iss": identity.issuer,
        "sub": identity.subject,
        "tenant": identity.tenant,
        "tier": identity.tier,
        "clearance": int(identity.clearance),
        "groups": list(identity.groups),
        "model": identity.limits.model,
        "output_tokens": identity.limits.output_tokens,
        "context_tokens": identity.limits.context_tokens,
        "policy": identity.policy_version,
        "type": envelope.record_type,
        "sha256": envelope.value_sha256,
        "name": statement.name,
        "visibility": statement.visibility,
        "readers": list(statement.readers),
        "iat": envelope.issue_time,
    }
    if identity.actor is not None:
        claims["act"] = {"sub": identity.actor}
    if statement.expire_time is not None:
        claims["exp"] = statement.expire_time
    if statement.grants:
        claims["grants"] = [[each.alias, each.tenant, each.collection] for each in statement.grants]
    return claims


def _envelope(claims: dict[str, Any]) -> Envelope:
    actor = claims.get("act")
    return Envelope(
        identity=Identity(
            issuer=claims["iss"],
            tenant=claims["tenant"],
            subject=claims["sub"],
            tier=claims["tier"],
            clearance=claims["clearance"],
            groups=tuple(claims["groups"]),
            limits=GenerationLimits(
                claims["model"], claims["output_tokens"], claims["context_tokens"]
            ),
            policy_version=claims["policy"],
            actor=actor["sub"] if actor else None,
        ),
        record_type=claims["type"],
        value_sha256=claims["sha256"],
        statement=Statement(
            claims["name"],
            claims["visibility"],
            tuple(claims["readers"]),
            claims.get("exp"),
            tuple(Grant(*each) for each in claims.get("grants", ())),
        ),
        issue_time=claims["iat"],
    )
