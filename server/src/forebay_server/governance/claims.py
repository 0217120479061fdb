"""Who a token speaks of: claims at the places that its issuer's configuration names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from forebay.policy.v1 import Scope
from forebay_server.errors import TokenInvalid, scope_word
from forebay_server.governance.issuers import Issuer

TENANT_ID = re.compile(r"[a-z0-9-]{1,63}", re.ASCII)  # tenants stand in keys, between slashes
MAX_TEXT_BYTES = 255  # OpenID Connect Core, section 8: a subject has at most 255 characters
MAX_GROUPS = 64  # they ride in every envelope, on every record
OPERATOR_SCOPES = frozenset({Scope.SCOPE_OPERATE, Scope.SCOPE_INSPECT})  # they see all tenants
SCOPES = {scope_word(scope): scope for scope in Scope.values() if scope}


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller as its token alone tells it."""

    issuer: str
    tenant: str
    subject: str
    tier: str
    groups: tuple[str, ...]
    scopes: frozenset[Scope.ValueType]
    actor: str | None


def principal_of(claims: dict[str, Any], issuer: Issuer) -> Principal:
    """Read a verified token's claims; TokenInvalid names the claim that breaks a rule."""
    paths = issuer.claims
    tenant = _text(_at(claims, paths.tenant), "tenant")
    if not TENANT_ID.fullmatch(tenant) or not issuer.speaks_for(tenant):
        raise TokenInvalid("tenant")
    return Principal(
        issuer=issuer.issuer,
        tenant=tenant,
        subject=_text(_at(claims, paths.subject), "subject"),
        tier=_text(_at(claims, paths.tier), "tier"),
        groups=_groups(_at(claims, paths.groups)),
        scopes=_scopes(_at(claims, paths.scopes)) - withheld(issuer),
        actor=_actor(claims),
    )


def _at(claims: dict[str, Any], path: str) -> object:
    # Namespaced claims are URLs and hold dots themselves: the whole name goes first.
    if path in claims:
        return claims[path]
    found: object = claims
    for step in path.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(step)
    return found


def _text(value: object, rule: str) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise TokenInvalid(rule)
    if len(value.encode(errors="replace")) > MAX_TEXT_BYTES:
        raise TokenInvalid(rule)
    return value


def _groups(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_GROUPS:
        raise TokenInvalid("groups")
    return tuple(sorted({_text(group, "groups") for group in value}))


def _scopes(value: object) -> frozenset[Scope.ValueType]:
    """A string of words, or a list of them; words that mean nothing here are left out."""
    if value is None:
        return frozenset()
    words = value.split(" ") if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise TokenInvalid("scopes")
    return frozenset(SCOPES[word] for word in words if word in SCOPES)


def withheld(issuer: Issuer) -> frozenset[Scope.ValueType]:
    """The scopes that count for nothing in the tokens of an issuer."""
    # An issuer of some tenants could see all the others by a word in its own tokens.
    return frozenset() if issuer.grants_operators() else OPERATOR_SCOPES


def _actor(claims: dict[str, Any]) -> str | None:
    actor = claims.get("act")
    if actor is None:
        return None
    if not isinstance(actor, dict):
        raise TokenInvalid("act")
    return _text(actor.get("sub"), "act")
