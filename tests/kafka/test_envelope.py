"""Nobody but the edge can say who caused a record."""

import json
import time
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forebay.records.v1 import QueryRecord
from forebay_kafka.envelope import (
    MAX_CACHED_BYTES,
    TOKEN_TYPE,
    EnvelopeSigner,
    EnvelopeVerifier,
    Statement,
)
from forebay_kafka.envelope_keys import signing_keys, verification_keys
from forebay_kafka.errors import IdentityInvalid
from forebay_kafka.identity import GenerationLimits, Grant, Identity

RECORD = QueryRecord(name="queries/abc")
STATEMENT = Statement("queries/abc", expire_time=2_000_000_000)
ANY_CASE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
texts = st.text(min_size=1, max_size=20)
identities = st.builds(
    Identity,
    issuer=texts,
    tenant=texts,
    subject=texts,
    tier=texts,
    clearance=st.sampled_from([1, 2, 3]),
    groups=st.lists(texts, max_size=5).map(tuple),
    limits=st.builds(GenerationLimits, texts, st.integers(1, 10_000), st.integers(1, 10_000)),
    policy_version=texts,
    actor=st.none() | texts,
)
statements = st.builds(
    Statement,
    name=texts,
    visibility=st.integers(0, 3),
    readers=st.lists(texts, max_size=5).map(tuple),
    expire_time=st.none() | st.integers(0, 4_000_000_000),
    grants=st.lists(st.builds(Grant, texts, texts, texts), max_size=3).map(tuple),
)


@ANY_CASE
@given(identity=identities, statement=statements)
def test_what_is_sealed_is_what_is_verified(
    authority: Any, identity: Identity, statement: Statement
) -> None:
    envelope = authority.verifier.verify(authority.seal(RECORD, identity, statement))
    assert envelope.identity == identity
    assert envelope.statement == statement
    assert envelope.record_type == "forebay.records.v1.QueryRecord"
    assert abs(envelope.issue_time - time.time()) < 5


def test_no_bit_of_a_token_may_be_changed(authority: Any, identity: Identity) -> None:
    token = authority.seal(RECORD, identity, STATEMENT)
    authority.verifier.verify(token)
    for place in range(len(token) * 8):
        changed = bytearray(token)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(IdentityInvalid):
            authority.verifier.verify(bytes(changed))


@ANY_CASE
@given(place=st.integers(0, 2_000), junk=st.binary(min_size=1, max_size=4))
def test_nothing_may_be_put_into_a_token(
    authority: Any, identity: Identity, place: int, junk: bytes
) -> None:
    token = authority.seal(RECORD, identity, STATEMENT)
    at = place % (len(token) + 1)
    with pytest.raises(IdentityInvalid):
        authority.verifier.verify(token[:at] + junk + token[at:])


def test_nothing_may_be_taken_out_of_a_token(authority: Any, identity: Identity) -> None:
    token = authority.seal(RECORD, identity, STATEMENT)
    for at in range(len(token)):
        with pytest.raises(IdentityInvalid):
            authority.verifier.verify(token[:at] + token[at + 1 :])


@ANY_CASE
@given(st.binary(max_size=300))
def test_what_was_never_a_token_is_refused(authority: Any, token: bytes) -> None:
    with pytest.raises(IdentityInvalid):
        authority.verifier.verify(token)


def test_a_token_of_another_key_with_the_same_id_is_refused(
    authority: Any, stranger: Any, identity: Identity
) -> None:
    with pytest.raises(IdentityInvalid):
        authority.verifier.verify(stranger.seal(RECORD, identity, STATEMENT))


def _signed(authority: Any, claims: dict[str, Any], header: dict[str, Any]) -> bytes:
    return jwt.encode(claims, authority.key, "EdDSA", headers=header).encode()


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "2026-11"},
        {"kid": "2026-11", "typ": "JWT"},
        {"kid": "2026-11", "typ": TOKEN_TYPE.upper()},
        {"typ": TOKEN_TYPE},
        {"kid": "another", "typ": TOKEN_TYPE},
    ],
)
def test_a_token_of_another_type_or_key_id_is_refused(
    authority: Any, identity: Identity, header: dict[str, Any]
) -> None:
    good = authority.seal(RECORD, identity, STATEMENT)
    claims = jwt.decode(good, options={"verify_signature": False})
    usual = {"kid": "2026-11", "typ": TOKEN_TYPE}
    authority.verifier.verify(_signed(authority, claims, usual))
    with pytest.raises(IdentityInvalid):
        authority.verifier.verify(_signed(authority, claims, header))


@pytest.mark.parametrize("claim", ["iss", "sub", "tenant", "clearance", "groups", "sha256", "name"])
def test_a_token_that_lacks_a_claim_is_refused(
    authority: Any, identity: Identity, claim: str
) -> None:
    good = authority.seal(RECORD, identity, STATEMENT)
    claims = jwt.decode(good, options={"verify_signature": False})
    del claims[claim]
    with pytest.raises(IdentityInvalid):
        authority.verifier.verify(_signed(authority, claims, {"kid": "2026-11", "typ": TOKEN_TYPE}))


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_token_without_our_algorithm_is_refused(
    authority: Any, identity: Identity, algorithm: str
) -> None:
    good = authority.seal(RECORD, identity, STATEMENT)
    claims = jwt.decode(good, options={"verify_signature": False})
    key = "" if algorithm == "none" else "k" * 64
    header = {"kid": "2026-11", "typ": TOKEN_TYPE}
    with pytest.raises(IdentityInvalid):
        authority.verifier.verify(jwt.encode(claims, key, algorithm, headers=header).encode())


def test_a_header_of_a_thousand_brackets_is_refused_like_any_other(authority: Any) -> None:
    deep = urlsafe_b64encode(b"[" * 10_000).rstrip(b"=")
    with pytest.raises(IdentityInvalid):
        authority.verifier.verify(deep + b".e30." + b"A" * 86)


def test_an_edge_whose_clock_is_ahead_is_believed(authority: Any, identity: Identity) -> None:
    good = authority.seal(RECORD, identity, STATEMENT)
    claims = jwt.decode(good, options={"verify_signature": False})
    claims["iat"] += 30
    ahead = _signed(authority, claims, {"kid": "2026-11", "typ": TOKEN_TYPE})
    assert authority.verifier.verify(ahead).issue_time == claims["iat"]


def test_the_deadline_of_a_query_does_not_make_its_envelope_bad(
    authority: Any, identity: Identity
) -> None:
    over = replace(STATEMENT, expire_time=1)
    token = authority.seal(RECORD, identity, over)
    assert authority.verifier.verify(token).statement.expire_time == 1


def test_the_largest_identity_that_the_contract_and_the_tokens_allow_still_fits(
    authority: Any, identity: Identity
) -> None:
    groups = tuple(f"{number:02}" + "ü" * 126 for number in range(64))
    readers = tuple(f"{number:02}" + "\x01" * 253 for number in range(64))
    token = authority.seal(
        RECORD, replace(identity, groups=groups), Statement("d", 3, readers, None)
    )
    assert len(token) > MAX_CACHED_BYTES
    for _ in range(2):
        envelope = authority.verifier.verify(token)
        assert envelope.identity.groups == groups
        assert envelope.statement.readers == readers


def test_what_is_asked_for_again_and_again_is_not_judged_again(
    authority: Any, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forebay_kafka.envelope.CACHED_VERDICTS", 4)
    verifier = EnvelopeVerifier(verification_keys(authority.jwks))
    long_answer = authority.seal(RECORD, identity, STATEMENT)
    first = verifier.verify(long_answer)
    for number in range(10):
        verifier.verify(authority.seal(RECORD, identity, replace(STATEMENT, name=f"d{number}")))
        assert verifier.verify(long_answer) is first


def test_keys_are_checked_when_they_are_read(authority: Any) -> None:
    public = authority.jwks
    with pytest.raises(ValueError, match="private"):
        signing_keys(json.dumps(json.loads(public)["keys"][0]))
    with pytest.raises(ValueError, match="empty"):
        verification_keys('{"keys": []}')
    nameless = {k: v for k, v in json.loads(public)["keys"][0].items() if k != "kid"}
    with pytest.raises(ValueError, match="kid"):
        verification_keys(json.dumps({"keys": [nameless]}))


def test_a_new_key_is_good_beside_the_old_one(authority: Any, identity: Identity) -> None:
    fresh = Ed25519PrivateKey.generate()
    private = {**jwt.get_algorithm_by_name("EdDSA").to_jwk(fresh, as_dict=True), "kid": "2026-12"}
    public = {name: value for name, value in private.items() if name != "d"}
    both = {"keys": [*json.loads(authority.jwks)["keys"], public]}
    verifier = EnvelopeVerifier(verification_keys(json.dumps(both)))
    signer = EnvelopeSigner(signing_keys(json.dumps(private)))
    new = signer.seal(identity, "t", b"", STATEMENT)
    assert verifier.verify(new).identity == identity
    assert verifier.verify(authority.seal(RECORD, identity, STATEMENT)).identity == identity
    with pytest.raises(IdentityInvalid):
        authority.verifier.verify(new)
