import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from forebay.policy.v1 import Scope
from forebay_server.clock import system_clock
from forebay_server.errors import TokenExpired, TokenInvalid, TokenMissing
from forebay_server.governance.issuers import Issuer
from forebay_server.governance.key_cache import KeyCache
from forebay_server.governance.tokens import TokenAuthenticator, TrustedIssuer

from .keys import AUDIENCE, ISSUER, claims, ec_key, public_jwk, rsa_key, token

KEY = ec_key()
RSA = rsa_key()
SHORT_RSA = rsa_key(1024)
KEYS = [
    public_jwk(KEY, "k1"),
    public_jwk(RSA, "r1"),
    public_jwk(RSA, "only-512", alg="RS512"),
    public_jwk(SHORT_RSA, "short"),
    public_jwk(KEY, "encrypts", use="enc"),
    public_jwk(KEY, "signs", key_ops=["sign"]),
    public_jwk(KEY, "twice"),
    public_jwk(KEY, "twice"),
    {**public_jwk(KEY, "wrong-curve"), "crv": "P-384"},
    {"kty": "oct", "kid": "shared", "k": base64.urlsafe_b64encode(b"s" * 32).decode()},
]
EVERY = ["RS256", "RS512", "ES256", "ES384", "EdDSA"]


def authenticator(clock: Callable[[], float] = system_clock, **rules: Any) -> TokenAuthenticator:
    issuer = Issuer.model_validate(
        {"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": "unused", "algorithms": EVERY} | rules
    )

    async def load() -> bytes:
        return json.dumps({"keys": KEYS}).encode()

    return TokenAuthenticator([TrustedIssuer(issuer, KeyCache(issuer, load, clock))], clock)


def raw(header: str, payload: str, key: Any = KEY) -> str:
    """A token whose header and payload are exactly these characters, with a good signature."""

    def encoded(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    signed = f"{encoded(header.encode())}.{encoded(payload.encode())}"
    signer = jwt.get_algorithm_by_name("ES256")
    return f"{signed}.{encoded(signer.sign(signed.encode(), key))}"


HEADER = '{"alg":"ES256","typ":"JWT","kid":"k1"}'
NOW = int(time.time())
DAY = 86_400  # longer than the tests take, however late they judge a token made at their start


async def judge(value: str, **rules: Any) -> Any:
    return await authenticator(**rules).authenticate(f"Bearer {value}")


LEEWAY = 30  # seconds, where an issuer says no other


async def test_a_good_token_tells_who_calls_and_until_when() -> None:
    verified = await judge(token(KEY, act={"sub": "robot"}, exp=NOW + 600))
    principal = verified.principal
    assert (principal.issuer, principal.tenant, principal.subject) == (ISSUER, "acme", "ada")
    assert (principal.tier, principal.groups, principal.actor) == ("enterprise", ("ops",), "robot")
    assert principal.scopes == {Scope.SCOPE_ASK, Scope.SCOPE_INGEST}
    assert verified.expire_time == NOW + 600 + LEEWAY


@pytest.mark.parametrize("header", [None, "", "Basic YTpi", "Bearer", "Bearer  "])
async def test_a_call_without_a_bearer_token_is_told_so(header: str | None) -> None:
    with pytest.raises(TokenMissing):
        await authenticator().authenticate(header)


@pytest.mark.parametrize(
    ("rule", "made"),
    [
        ("signature", token(ec_key())),
        ("audience", token(KEY, aud="other")),
        ("audience", token(KEY, aud=...)),
        ("issuer", token(KEY, iss="https://other.test")),
        ("issuer", token(KEY, iss=...)),
        ("exp", token(KEY, exp=...)),
        ("lifetime", token(KEY, exp=NOW + 90_000)),
        ("lifetime", token(KEY, exp=NOW + 90_000, iat=...)),
        ("nbf", token(KEY, nbf=NOW + DAY)),
        ("iat", token(KEY, iat=NOW + DAY)),
        ("typ", token(KEY, typ="logout+jwt")),
        ("kid", token(KEY, kid="nobody")),
        ("alg", token("s" * 32, kid="shared", alg="HS256")),
        ("alg", token(RSA, kid="r1", alg="PS256")),
        ("alg", token(RSA, kid="only-512", alg="RS256")),
        ("alg", token(KEY, kid="r1")),
        ("kid", token(SHORT_RSA, kid="short", alg="RS256")),
        ("kid", token(KEY, kid="encrypts")),
        ("kid", token(KEY, kid="signs")),
        ("kid", token(KEY, kid="twice")),
        ("kid", token(KEY, kid="wrong-curve")),
        ("tenant", token(KEY, tenant=...)),
        ("tenant", token(KEY, tenant="Acme")),
        ("tenant", token(KEY, tenant="a/b")),
        ("tenant", token(KEY, tenant="acme\n")),
        ("tenant", token(KEY, tenant=["acme"])),
        ("subject", token(KEY, sub="a\x00b")),
        ("subject", token(KEY, sub="a" * 256)),
        ("tier", token(KEY, tier=...)),
        ("groups", token(KEY, groups="ops")),
        ("groups", token(KEY, groups=[f"g{i}" for i in range(65)])),
        ("scopes", token(KEY, scope=7)),
        ("act", token(KEY, act="robot")),
        ("size", token(KEY, padding="x" * 8192)),
        ("form", "not.a.token"),
        ("form", "two.parts"),
        ("form", "a.b.c.d"),
        ("crit", raw('{"alg":"ES256","typ":"JWT","kid":"k1","crit":["x"]}', json.dumps(claims()))),
        ("typ", raw('{"alg":"ES256","kid":"k1"}', json.dumps(claims()))),
        ("alg", raw('{"alg":"none","typ":"JWT","kid":"k1"}', json.dumps(claims()))),
        ("form", raw(HEADER[:-1] + ',"kid":"k1"}', json.dumps(claims()))),
        ("form", raw(HEADER, json.dumps(claims())[:-1] + ',"tenant":"globex"}')),
        ("form", raw(HEADER, json.dumps(claims())[:-1] + ',"x":NaN}')),
        ("form", raw(HEADER, json.dumps(claims())[:-1] + f',"x":{"[" * 2500}{"]" * 2500}}}')),
        ("form", raw(HEADER, "[]")),
        ("exp", raw(HEADER, json.dumps(claims(exp=str(NOW + 60))))),
        ("exp", raw(HEADER, json.dumps(claims(exp=True)))),
        ("exp", raw(HEADER, json.dumps(claims(exp=None)))),
        ("exp", raw(HEADER, json.dumps(claims(exp=10**400)))),
        ("iat", raw(HEADER, json.dumps(claims(iat=str(NOW))))),
    ],
)
async def test_a_token_that_breaks_a_rule_is_refused_by_its_name(rule: str, made: str) -> None:
    with pytest.raises(TokenInvalid) as refused:
        await judge(made)
    assert refused.value.metadata == {"rule": rule}


async def test_an_algorithm_that_the_issuer_does_not_use_is_refused() -> None:
    with pytest.raises(TokenInvalid, match="alg"):
        await judge(token(KEY), algorithms=["RS256"])


async def test_an_issuer_speaks_for_its_own_tenants_alone() -> None:
    assert await judge(token(KEY, tenant="acme"), tenants=["acme"])
    with pytest.raises(TokenInvalid, match="tenant"):
        await judge(token(KEY, tenant="globex"), tenants=["acme"])


async def test_claims_are_read_where_the_issuer_puts_them() -> None:
    paths = {"tenant": "org.id", "groups": "https://id.test/groups", "scopes": "roles"}
    made = token(
        KEY, tenant=..., org={"id": "globex"}, roles=["ask"], **{"https://id.test/groups": ["g"]}
    )
    principal = (await judge(made, claims=paths)).principal
    assert (principal.tenant, principal.groups) == ("globex", ("g",))
    assert principal.scopes == {Scope.SCOPE_ASK}


async def test_a_token_counts_for_the_leeway_and_no_longer_even_when_it_is_remembered() -> None:
    now = [float(NOW)]
    judged = authenticator(lambda: now[0], leeway_seconds=30)
    header = f"Bearer {token(KEY, iat=NOW, exp=NOW + 10)}"
    first = await judged.authenticate(header)
    now[0] = NOW + 39
    assert await judged.authenticate(header) is first
    now[0] = NOW + 40
    with pytest.raises(TokenExpired):
        await judged.authenticate(header)


async def test_a_scheme_is_known_in_any_case() -> None:
    assert await authenticator().authenticate(f"bEaReR {token(KEY)}")


def test_rules_that_would_weaken_the_edge_are_refused_in_the_issuers_file() -> None:
    good = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": "keys.json"}
    Issuer.model_validate(good)
    for weaker in (
        {"algorithms": ["HS256"]},
        {"algorithms": ["none"]},
        {"leeway_seconds": 61},
        {"jwks_url": "https://id.test/jwks"},
        {"jwks_file": None},
        {"audience": ""},
        {"unknown": 1},
    ):
        with pytest.raises(ValueError, match=r".+"):
            Issuer.model_validate(good | weaker)
