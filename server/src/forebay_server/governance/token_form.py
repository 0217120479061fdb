"""The form of a token (RFC 7515, RFC 7519), judged before its signature.

PyJWT takes duplicate members, any `typ`, digit strings as times and characters that are no
base64url; two readers of such a token may understand it differently, so it is refused here. Keys
that a header brings along (`jwk`, `jku`, `x5c`, `x5u`) are never looked at.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from forebay_server.errors import TokenInvalid
from forebay_server.governance.strict_json import JsonRefused, parse_object

MAX_TOKEN_BYTES = 8 * 1024  # gRPC's soft limit for all metadata of a call
COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")  # RFC 7515, section 7.1
TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})  # RFC 9068, section 4; RFC 7519, 5.1


@dataclass(frozen=True)
class TokenForm:
    """What a token says of itself; nothing of it is believed yet."""

    issuer: str
    kid: str
    algorithm: str
    claims: dict[str, Any]


def read_form(token: str) -> TokenForm:
    """Take a token apart; TokenInvalid names the rule that its form breaks."""
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenInvalid("size")
    if not COMPACT.fullmatch(token):
        raise TokenInvalid("form")
    head, payload, signature = token.split(".")
    header, claims = _object(head), _object(payload)
    _bytes(signature)
    if "crit" in header or "b64" in header:
        raise TokenInvalid("crit")
    if str(header.get("typ", "")).lower() not in TYPES:
        raise TokenInvalid("typ")
    return TokenForm(
        issuer=_text(claims, "iss", "issuer"),
        kid=_text(header, "kid", "kid"),
        algorithm=_text(header, "alg", "alg"),
        claims=claims,
    )


def _object(encoded: str) -> dict[str, Any]:
    try:
        return parse_object(_bytes(encoded))
    except JsonRefused as error:
        raise TokenInvalid("form") from error


def _bytes(encoded: str) -> bytes:
    try:
        content = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except binascii.Error as error:
        raise TokenInvalid("form") from error
    # Bits behind the last byte would give one token several spellings.
    if base64.urlsafe_b64encode(content).rstrip(b"=") != encoded.encode():
        raise TokenInvalid("form")
    return content


def _text(members: dict[str, Any], name: str, rule: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise TokenInvalid(rule)
    return value
