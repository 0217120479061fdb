"""The form of a token (RFC 7515, RFC 7519), judged before its signature.

PyJWT takes duplicate members, any `typ` and digit strings as times; two readers of such a token
may understand it differently, so it is refused here.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from forebay_server.errors import TokenInvalid
from forebay_server.governance.strict_json import JsonRefused, parse_object

MAX_TOKEN_BYTES = 8 * 1024  # gRPC's soft limit for all metadata of a call
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
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):  # noqa: PLR2004 a compact JWS has three parts
        raise TokenInvalid("form")
    header, claims = _segment(parts[0]), _segment(parts[1])
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


def _segment(encoded: str) -> dict[str, Any]:
    try:
        padded = encoded + "=" * (-len(encoded) % 4)
        content = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
        return parse_object(content)
    except (binascii.Error, UnicodeEncodeError, JsonRefused) as error:
        raise TokenInvalid("form") from error


def _text(members: dict[str, Any], name: str, rule: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise TokenInvalid(rule)
    return value
