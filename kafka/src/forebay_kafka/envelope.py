"""The envelope: a signed statement of who caused a record, which rides in a header.

It is a compact JWS (RFC 7515) signed with Ed25519 (RFC 8037). The edge alone holds private keys;
stages verify with a configured JWKS (RFC 7517).
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.types import Options

from forebay_kafka.envelope_keys import (
    SigningKey,
    SigningKeys,
    VerificationKey,
    VerificationKeys,
)
from forebay_kafka.errors import IdentityInvalid, NobodyVouches
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
    """Signs envelopes with the first of its keys that is believed when it signs.

    `believes` tells that of a key id and a time in seconds since 1970. The key that was used last
    stays in reserve when others come: theirs may not count yet.
    """

    def __init__(
        self, keys: SigningKeys, believes: Callable[[str, int], bool] = lambda _id, _time: True
    ) -> None:
        self._keys = keys
        self._believes = believes
        self._last = keys[:1]

    def use(self, keys: SigningKeys) -> None:
        """Sign with other keys from now on."""
        self._keys = (*keys, *self._last)

    def seal(
        self, identity: Identity, record_type: str, value: bytes, statement: Statement
    ) -> bytes:
        """State that `identity` caused the record with this value; the header's bytes.

        Raises NobodyVouches where no key is believed now.
        """
        envelope = Envelope(
            identity=identity,
            record_type=record_type,
            value_sha256=hashlib.sha256(value).hexdigest(),
            statement=statement,
            issue_time=int(time.time()),
        )
        key = self._key(envelope.issue_time)
        if key is None:
            raise NobodyVouches("no envelope key is in force now")
        self._last = (key,)
        headers = {"typ": TOKEN_TYPE, "kid": key.key_id}
        return jwt.encode(_claims(envelope), key.key, ALGORITHM, headers=headers).encode()

    def may_sign(self) -> bool:
        """Whether any key is believed now."""
        return self._key(int(time.time())) is not None

    def _key(self, issue_time: int) -> SigningKey | None:
        believed = (key for key in self._keys if self._believes(key.key_id, issue_time))
        return next(believed, None)


class EnvelopeVerifier:
    """Verifies envelopes against a set of public keys and remembers its verdicts.

    `on_unknown_key` is called where a key id is not known, and may bring other keys by `use`.
    """

    def __init__(
        self, keys: VerificationKeys, on_unknown_key: Callable[[], None] = lambda: None
    ) -> None:
        self._keys = keys
        self._on_unknown_key = on_unknown_key
        self._verdicts: OrderedDict[bytes, Envelope] = OrderedDict()

    def use(self, keys: VerificationKeys) -> None:
        """Believe other keys from now on; what was judged by former ones is judged anew."""
        self._keys = keys
        self._verdicts.clear()

    def believes(self, key_id: str, issue_time: int) -> bool:
        """Whether a key may vouch for what is issued at a time, in seconds since 1970."""
        key = self._key(key_id)
        return key is not None and key.vouches_at(issue_time)

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
            key = self._key(str(header.get("kid")))
            if key is None:
                raise IdentityInvalid("the envelope's key is not known")
            if header.get("typ") != TOKEN_TYPE:
                raise IdentityInvalid("the envelope is of another type")
            # Whether a query is too late is its stage's business: an old one still has an owner.
            # And an edge whose clock is a second ahead of a stage's is no forger.
            options: Options = {"verify_exp": False, "verify_iat": False}
            envelope = _envelope(jwt.decode(token, key.key, [ALGORITHM], options=options))
            if not key.vouches_at(envelope.issue_time):
                raise IdentityInvalid("the envelope was issued outside its key's time")
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise IdentityInvalid("the envelope does not verify") from error
        return envelope

    def _key(self, key_id: str) -> VerificationKey | None:
        if key_id not in self._keys:
            self._on_unknown_key()
        return self._keys.get(key_id)


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
