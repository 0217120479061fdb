"""Tokens: from the `authorization` header to a principal that an issuer vouches for."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import jwt

from forebay_server.clock import Clock
from forebay_server.errors import TokenInvalid, TokenMissing
from forebay_server.governance.claims import Principal, principal_of
from forebay_server.governance.issuers import Issuer
from forebay_server.governance.jwks import VerificationKey
from forebay_server.governance.key_cache import KeyCache
from forebay_server.governance.token_form import TokenForm, read_form
from forebay_server.governance.token_times import expiry_of, require_alive

CACHED_TOKENS = 10_000  # about 2 KiB each; verifying costs 65 to 160 µs, a look-up 2 µs
SCHEME = "bearer"  # RFC 6750, section 2.1; schemes are compared without case (RFC 9110, 11.1)


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A token that was good when it was verified.

    The edge believes it until `expire_time`, in seconds since 1970: for every call and stream.
    """

    principal: Principal
    expire_time: float


@dataclass(frozen=True, slots=True)
class _Verdict:
    token: VerifiedToken
    rules: Issuer
    kid: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer with its keys."""

    rules: Issuer
    keys: KeyCache


class TokenAuthenticator:
    """Tells who calls.

    A verdict is remembered, and judged again for issuer, expiry and key each time. It holds
    nothing of the policy: what the policy grants is asked anew for every call.
    """

    def __init__(self, issuers: Iterable[TrustedIssuer], clock: Clock) -> None:
        self._issuers = _by_name(issuers)
        self._clock = clock
        self._verdicts: OrderedDict[bytes, _Verdict] = OrderedDict()

    async def authenticate(self, authorization: str | None) -> VerifiedToken:
        """Judge the value of an `authorization` header.

        Raises TokenMissing, TokenInvalid, TokenExpired or IssuerUnavailable.
        """
        token = _bearer(authorization)
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        verdict = self._verdicts.get(digest)
        if verdict is not None and await self._still_good(verdict):
            self._verdicts.move_to_end(digest)
            return verdict.token
        self._verdicts.pop(digest, None)
        verdict = await self._judge(token)
        self._verdicts[digest] = verdict
        if len(self._verdicts) > CACHED_TOKENS:
            self._verdicts.popitem(last=False)
        return verdict.token

    def trust(self, issuers: Iterable[TrustedIssuer]) -> None:
        """Believe these issuers from now on and no other, whatever is remembered of them."""
        self._issuers = _by_name(issuers)

    async def close(self) -> None:
        """End what still runs on behalf of issuers."""
        for issuer in self._issuers.values():
            await issuer.keys.close()

    async def _still_good(self, verdict: _Verdict) -> bool:
        issuer = self._issuers.get(verdict.token.principal.issuer)
        if issuer is None or issuer.rules is not verdict.rules:
            return False
        require_alive(verdict.token.expire_time, self._clock())
        key = await issuer.keys.find(verdict.kid)
        return key is not None and key.fingerprint == verdict.fingerprint

    async def _judge(self, token: str) -> _Verdict:
        form = read_form(token)
        issuer = self._issuers.get(form.issuer)
        if issuer is None:
            raise TokenInvalid("issuer")
        if form.algorithm not in issuer.rules.algorithms:
            raise TokenInvalid("alg")
        key = await issuer.keys.find(form.kid)
        if key is None:
            raise TokenInvalid("kid")
        if form.algorithm not in key.algorithms:
            raise TokenInvalid("alg")
        _require_signature(token, form, key, issuer.rules)
        expire_time = expiry_of(form.claims, issuer.rules, self._clock())
        verified = VerifiedToken(principal_of(form.claims, issuer.rules), expire_time)
        return _Verdict(verified, issuer.rules, form.kid, key.fingerprint)


def _by_name(issuers: Iterable[TrustedIssuer]) -> Mapping[str, TrustedIssuer]:
    return {issuer.rules.issuer: issuer for issuer in issuers}


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise TokenMissing
    scheme, _, token = authorization.partition(" ")
    # Spaces alone may stand around it (RFC 9110, section 11.4): other blanks are a part of it.
    token = token.strip(" ")
    if scheme.lower() != SCHEME or not token:
        raise TokenMissing
    return token


def _require_signature(token: str, form: TokenForm, key: VerificationKey, issuer: Issuer) -> None:
    try:
        jwt.decode(
            token,
            key.key,
            algorithms=[form.algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            # Times are judged by the edge's own clock and rules, in token_times.
            options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except (jwt.InvalidAudienceError, jwt.MissingRequiredClaimError) as error:
        raise TokenInvalid("audience") from error
    except jwt.InvalidSignatureError as error:
        raise TokenInvalid("signature") from error
    except jwt.PyJWTError as error:
        raise TokenInvalid("claims") from error
