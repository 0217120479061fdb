"""A token issuer for one machine: whoever can read its key may be anybody.

It refuses every address beyond loopback.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import jwt

from forebay.policy.v1 import Scope
from forebay_standalone.errors import NotThisMachine
from forebay_standalone.signing_keys import Jwk, es256_key, public_jwk

AUDIENCE = "forebay"
# PyJWT verifies ES256 in 61 µs and EdDSA in 76 µs (2 cores, Python 3.11).
ALGORITHM = "ES256"
TOKEN_TYPE = "at+jwt"  # noqa: S105 the media type of RFC 9068, section 2.1
JWKS_PATH = "/.well-known/jwks.json"
KEY_FILE = "issuer-key.json"
HOUR = timedelta(hours=1)
# Whom a developer is, where nothing else is said.
TENANT = "acme"
SUBJECT = "developer"


class DevelopmentIssuer:
    """Signs access tokens (RFC 9068) with a key kept in a folder."""

    def __init__(self, folder: Path, issuer_url: str, audience: str = AUDIENCE) -> None:
        """Load the key, or make it; raises NotThisMachine for an `issuer_url` beyond loopback."""
        require_loopback(urlsplit(issuer_url).hostname or issuer_url)
        self.issuer_url = issuer_url
        self.audience = audience
        self._key = es256_key(folder / KEY_FILE)

    @property
    def jwks_url(self) -> str:
        """Where the issuer's HTTP server shows the public key."""
        return f"{self.issuer_url}{JWKS_PATH}"

    def jwks(self) -> dict[str, list[Jwk]]:
        """Give the public keys, as a JWK Set (RFC 7517, section 5)."""
        return {"keys": [public_jwk(self._key)]}

    def mint(
        self,
        tenant: str,
        subject: str,
        tier: str = "standard",
        scopes: Sequence[str] = (),
        groups: Sequence[str] = (),
        expires_in: timedelta = HOUR,
    ) -> str:
        """Sign a token; without `scopes` it has all of the contract's.

        Claims: iss, aud, sub, iat, exp, jti, scope (RFC 9068), tenant, tier and groups.
        """
        now = int(time.time())
        claims = {
            "iss": self.issuer_url,
            "aud": self.audience,
            "sub": subject,
            "tenant": tenant,
            "tier": tier,
            "scope": " ".join(scopes or every_scope()),
            "groups": list(groups),
            "iat": now,
            "exp": now + int(expires_in.total_seconds()),
            "jti": str(uuid4()),
        }
        headers = {"typ": TOKEN_TYPE, "kid": self._key["kid"]}
        return jwt.encode(claims, jwt.PyJWK(self._key), ALGORITHM, headers=headers)

    def described(self) -> dict[str, object]:
        """Describe the issuer to the edge, as an entry of its issuers file."""
        return {
            "issuer": self.issuer_url,
            "jwks_url": self.jwks_url,
            "audience": self.audience,
            "algorithms": [ALGORITHM],
            # Issuer and edge share one machine and its clock.
            "leeway_seconds": 0,
        }


def every_scope() -> list[str]:
    """Give the contract's scopes as they stand in a token: SCOPE_ASK is `ask`."""
    names = [name.removeprefix("SCOPE_").lower() for name in Scope.keys() if Scope.Value(name)]  # noqa: SIM118
    return sorted(names)


def require_loopback(host: str) -> None:
    """Raise NotThisMachine unless a host name or address is of this machine alone."""
    if host == "localhost":
        return
    try:
        if ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    raise NotThisMachine(host)
