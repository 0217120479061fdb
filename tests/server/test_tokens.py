import time
from typing import Any

import pytest

from forebay.policy.v1 import Scope
from forebay_server.clock import Clock
from forebay_server.errors import TokenExpired, TokenInvalid, TokenMissing
from forebay_server.governance import tokens
from forebay_server.governance.claims import OPERATOR_SCOPES
from forebay_server.governance.tokens import TokenAuthenticator, TrustedIssuer

from .judging import KEY, NOW, judge, trusted
from .keys import ec_key, public_jwk, rsa_key, token

ACME, GLOBEX = ec_key(), rsa_key()
LEEWAY = 30  # seconds, where an issuer says no other


class Turned:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def authenticator(clock: Clock, *issuers: TrustedIssuer) -> TokenAuthenticator:
    return TokenAuthenticator(issuers or [trusted([public_jwk(KEY, "k1")], clock)], clock)


async def test_a_good_token_tells_who_calls_and_until_when() -> None:
    verified = await judge(token(KEY, exp=NOW + 3600))
    principal = verified.principal
    assert (principal.tenant, principal.subject, principal.actor) == ("acme", "ada", None)
    assert (principal.tier, principal.groups) == ("enterprise", ("ops",))
    assert principal.scopes == {Scope.SCOPE_ASK, Scope.SCOPE_INGEST}
    assert verified.expire_time == NOW + 3600 + LEEWAY


async def test_the_service_that_acts_for_somebody_is_kept() -> None:
    acting = {"sub": "robot", "iss": "https://id.test", "act": {"sub": "scheduler"}}
    principal = (await judge(token(KEY, act=acting))).principal
    assert (principal.subject, principal.actor) == ("ada", "robot")


@pytest.mark.parametrize("header", [None, "", "Basic YTpi", "Bearer", "Bearer  ", "Bearer\tx"])
async def test_a_call_without_a_bearer_token_is_told_so(header: str | None) -> None:
    with pytest.raises(TokenMissing):
        await authenticator(Turned()).authenticate(header)


async def test_a_scheme_is_known_in_any_case() -> None:
    assert await authenticator(Turned()).authenticate(f"bEaReR {token(KEY)}")


@pytest.mark.parametrize("blank", ["\t", "\n", "\r\n", "\x0b", "\x00", "\xa0", "\u2003", " x"])
async def test_what_stands_around_a_token_is_no_part_of_the_header(blank: str) -> None:
    with pytest.raises(TokenInvalid) as refused:
        await authenticator(Turned()).authenticate(f"Bearer {token(KEY)}{blank}")
    assert refused.value.metadata == {"rule": "form"}
    assert await authenticator(Turned()).authenticate(f"Bearer   {token(KEY)}  ")


async def test_claims_are_read_where_the_issuer_puts_them() -> None:
    paths = {"tenant": "org.id", "groups": "https://id.test/groups", "scopes": "roles"}
    placed: dict[str, Any] = {"org": {"id": "globex"}, "https://id.test/groups": ["g"]}
    made = token(KEY, tenant=..., roles=["ask"], **placed)
    principal = (await judge(made, claims=paths)).principal
    assert (principal.tenant, principal.groups) == ("globex", ("g",))
    assert principal.scopes == {Scope.SCOPE_ASK}


async def test_a_token_counts_for_the_leeway_and_no_longer_even_when_it_is_remembered() -> None:
    clock = Turned()
    judged = authenticator(clock, trusted([public_jwk(KEY, "k1")], clock, leeway_seconds=30))
    begun = int(clock.now)
    header = f"Bearer {token(KEY, iat=begun, exp=begun + 10)}"
    first = await judged.authenticate(header)
    clock.now = begun + 39
    assert await judged.authenticate(header) is first
    clock.now = begun + 40
    with pytest.raises(TokenExpired):
        await judged.authenticate(header)


@pytest.mark.parametrize(
    ("tenants", "spoken_for", "refused"),
    [
        (["acme"], "acme", "acme-eu"),
        (["acme", "globex"], "globex", "initech"),
        (["acme-*"], "acme-eu", "acme"),
        (["acme-*"], "acme-", "xacme-eu"),
        (["eu*", "acme"], "eu", "e"),
    ],
)
async def test_an_issuer_speaks_for_its_own_tenants_alone(
    tenants: list[str], spoken_for: str, refused: str
) -> None:
    assert await judge(token(KEY, tenant=spoken_for), tenants=tenants)
    with pytest.raises(TokenInvalid) as error:
        await judge(token(KEY, tenant=refused), tenants=tenants)
    assert error.value.metadata == {"rule": "tenant"}


def two_issuers() -> list[TrustedIssuer]:
    """They name their keys alike, as strangers to one another do."""
    return [
        trusted([public_jwk(ACME, "k1")], issuer="https://a.test", tenants=["acme"]),
        trusted(
            [public_jwk(GLOBEX, "k1")],
            issuer="https://b.test",
            tenants=["globex-*"],
            audience="forebay-b",
            algorithms=["RS256"],
        ),
    ]


async def test_of_several_issuers_each_is_judged_by_its_own_rules() -> None:
    acme = token(ACME, iss="https://a.test")
    globex = token(GLOBEX, alg="RS256", iss="https://b.test", aud="forebay-b", tenant="globex-eu")
    assert (await judge(acme, *two_issuers())).principal.issuer == "https://a.test"
    assert (await judge(globex, *two_issuers())).principal.tenant == "globex-eu"


B = {"iss": "https://b.test", "aud": "forebay-b", "tenant": "globex-eu"}


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (token(ACME, iss="https://a.test", tenant="globex-eu"), "tenant"),
        (token(ACME, **B), "alg"),
        (token(rsa_key(), alg="RS256", **B), "signature"),
        (token(GLOBEX, alg="RS256", **(B | {"aud": "forebay"})), "audience"),
        (token(GLOBEX, alg="RS256", **(B | {"tenant": "acme"})), "tenant"),
        (token(GLOBEX, alg="RS256", **(B | {"iss": "https://a.test"})), "alg"),
    ],
    ids=["tenant of b", "key of a", "nobody's key", "audience of a", "tenant of a", "name of a"],
)
async def test_an_issuer_cannot_pass_for_another(made: str, rule: str) -> None:
    with pytest.raises(TokenInvalid) as refused:
        await judge(made, *two_issuers())
    assert refused.value.metadata == {"rule": rule}


@pytest.mark.parametrize(
    ("rules", "granted"),
    [
        ({}, True),
        ({"tenants": "any"}, True),
        ({"tenants": ["acme"]}, False),
        ({"tenants": ["acme"], "operators": True}, True),
        ({"operators": False}, False),
    ],
    ids=str,
)
async def test_an_issuer_of_some_tenants_makes_no_operators_of_all(
    rules: dict[str, object], *, granted: bool
) -> None:
    scopes = (await judge(token(KEY, scope="ask operate inspect"), **rules)).principal.scopes
    assert scopes == {Scope.SCOPE_ASK} | (OPERATOR_SCOPES if granted else frozenset())


async def test_a_remembered_token_ends_with_its_issuer() -> None:
    judged = authenticator(Turned())
    header = f"Bearer {token(KEY)}"
    await judged.authenticate(header)
    judged.trust([trusted([public_jwk(ACME, "k1")], issuer="https://a.test")])
    with pytest.raises(TokenInvalid) as refused:
        await judged.authenticate(header)
    assert refused.value.metadata == {"rule": "issuer"}


@pytest.mark.parametrize(
    ("rule", "changed"),
    [
        ("tenant", {"tenants": ["globex"]}),
        ("audience", {"audience": "other"}),
        ("alg", {"algorithms": ["RS256"]}),
        ("lifetime", {"lifetime_limit_seconds": 60}),
        ("tier", {"claims": {"tier": "plan"}}),
    ],
)
async def test_a_remembered_token_is_judged_by_the_rules_that_its_issuer_has_now(
    rule: str, changed: dict[str, object]
) -> None:
    clock = Turned()
    judged = authenticator(clock)
    header = f"Bearer {token(KEY)}"
    await judged.authenticate(header)
    judged.trust([trusted([public_jwk(KEY, "k1")], clock, **changed)])
    with pytest.raises(TokenInvalid) as refused:
        await judged.authenticate(header)
    assert refused.value.metadata == {"rule": rule}


async def test_a_remembered_token_of_a_key_that_was_replaced_is_judged_again() -> None:
    clock = Turned()
    shown = [public_jwk(KEY, "k1")]
    judged = authenticator(clock, trusted(shown, clock, fresh_seconds=1, hard_age_seconds=31))
    header = f"Bearer {token(KEY)}"
    await judged.authenticate(header)
    shown[:] = [public_jwk(ACME, "k1")]
    clock.now += 32
    with pytest.raises(TokenInvalid) as refused:
        await judged.authenticate(header)
    assert refused.value.metadata == {"rule": "signature"}


async def test_only_so_many_verdicts_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "CACHED_TOKENS", 3)
    judged = authenticator(Turned())
    headers = [f"Bearer {token(KEY, sub=f'user-{number}')}" for number in range(5)]
    first = [await judged.authenticate(header) for header in headers]
    again = [await judged.authenticate(header) for header in reversed(headers)]
    kept = [a is b for a, b in zip(first, reversed(again), strict=True)]
    assert kept == [False, False, True, True, True]


async def test_a_token_that_was_refused_is_not_remembered() -> None:
    clock = Turned()
    judged = authenticator(clock)
    for number in range(50):
        with pytest.raises(TokenInvalid):
            await judged.authenticate(f"Bearer {token(KEY, aud=f'other-{number}')}")
    assert not judged._verdicts
