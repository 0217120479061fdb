"""An authenticator over keys of every kind, and tokens written by hand."""

import base64
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import jwt

from forebay_server.clock import system_clock
from forebay_server.governance.issuers import Issuer
from forebay_server.governance.key_cache import KeyCache
from forebay_server.governance.tokens import TokenAuthenticator, TrustedIssuer, VerifiedToken

from .keys import AUDIENCE, ISSUER, ec_key, public_jwk

KEY = ec_key()
HEADER = '{"alg":"ES256","typ":"JWT","kid":"k1"}'
EVERY = ["RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"]
NOW = int(time.time())
DAY = 86_400  # longer than the tests take, however late they judge a token made at their start


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def raw(header: str, payload: str, key: Any = KEY) -> str:
    """A token whose header and payload are exactly these characters, with a good signature."""
    signed = f"{encoded(header.encode())}.{encoded(payload.encode())}"
    signer = jwt.get_algorithm_by_name("ES256")
    return f"{signed}.{encoded(signer.sign(signed.encode(), key))}"


def trusted(
    keys: Sequence[dict[str, Any]], clock: Callable[[], float] = system_clock, **rules: Any
) -> TrustedIssuer:
    usual = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": "unused", "algorithms": EVERY}
    issuer = Issuer.model_validate(usual | rules)

    async def load() -> bytes:
        return json.dumps({"keys": keys}).encode()

    return TrustedIssuer(issuer, KeyCache(issuer, load, clock))


async def judge(token: str, *issuers: TrustedIssuer, **rules: Any) -> VerifiedToken:
    """What an edge says that believes these issuers, or one with the usual key and these rules."""
    believed = issuers or [trusted([public_jwk(KEY, "k1")], **rules)]
    return await TokenAuthenticator(believed, system_clock).authenticate(f"Bearer {token}")
