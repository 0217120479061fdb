"""One row per defect of a key: it is left out of its issuer's set, and verifies nothing."""

import json
import logging
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from forebay_server.errors import TokenInvalid
from forebay_server.governance.jwks import MAX_KEYS, KeysRefused, parse_keys

from .judging import KEY, encoded, judge, trusted
from .keys import ec_key, private_jwk, public_jwk, rsa_key, token

RSA = rsa_key()
GOOD = public_jwk(KEY, "k1")
OTHER = public_jwk(ec_key(), "other")


class Defect(NamedTuple):
    """A key that must not count, and the words that say why."""

    name: str
    key: dict[str, Any]
    said: str


def small_exponent(kid: str) -> dict[str, Any]:
    return public_jwk(rsa.generate_private_key(3, 2048), kid)


def without(member: str, key: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name != member}


def edwards_448() -> dict[str, Any]:
    public = ed448.Ed448PrivateKey.generate().public_key().public_bytes_raw()
    return {"kty": "OKP", "crv": "Ed448", "x": encoded(public), "kid": "k1"}


FIT = "do not fit together"
DEFECTS = [
    Defect("RSA of 1024 bits", public_jwk(rsa_key(1024), "k1"), "too short"),
    Defect("RSA of 2047 bits", public_jwk(rsa_key(2047), "k1"), "too short"),
    Defect("RSA with the exponent 3", small_exponent("k1"), "exponent"),
    Defect("RSA with the exponent 1", public_jwk(RSA, "k1", e="AQ"), "numbers"),
    Defect("RSA without a modulus", without("n", public_jwk(RSA, "k1")), "numbers"),
    Defect("RSA with a number as modulus", public_jwk(RSA, "k1", n=7), "numbers"),
    Defect("a shared secret", {"kty": "oct", "kid": "k1", "k": encoded(b"s" * 32)}, "private"),
    Defect("a kty of secrets", {"kty": "oct", "kid": "k1"}, FIT),
    Defect("a private key", private_jwk(Ed25519PrivateKey.generate(), "k1"), "private"),
    Defect("a prime of RSA", public_jwk(RSA, "k1", p="AQ"), "private"),
    Defect("for encryption", GOOD | {"use": "enc"}, "use"),
    Defect("for both, in a list", GOOD | {"use": ["sig", "enc"]}, "use"),
    Defect("use null", GOOD | {"use": None}, "use"),
    Defect("key_ops that sign", GOOD | {"key_ops": ["sign"]}, "key_ops"),
    Defect("key_ops of two uses", GOOD | {"key_ops": ["verify", "encrypt"]}, "key_ops"),
    Defect("key_ops empty", GOOD | {"key_ops": []}, "key_ops"),
    Defect("key_ops in a string", GOOD | {"key_ops": "verify"}, "key_ops"),
    Defect("key_ops of objects", GOOD | {"key_ops": [{}]}, "key_ops"),
    Defect("alg of another curve", GOOD | {"alg": "ES384"}, FIT),
    Defect("alg of another kind", GOOD | {"alg": "RS256"}, FIT),
    Defect("alg of secrets", GOOD | {"alg": "HS256"}, FIT),
    Defect("alg none", GOOD | {"alg": "none"}, FIT),
    Defect("alg in a list", GOOD | {"alg": ["ES256"]}, FIT),
    Defect("alg of an encryption", public_jwk(RSA, "k1", alg="RSA-OAEP"), FIT),
    Defect("another curve than its point", GOOD | {"crv": "P-384"}, "numbers"),
    Defect("a point off the curve", GOOD | {"y": GOOD["x"]}, "numbers"),
    Defect("a curve of coins", GOOD | {"crv": "secp256k1"}, FIT),
    Defect("no curve", without("crv", GOOD), FIT),
    Defect("a curve that is a list", GOOD | {"crv": ["P-256"]}, FIT),
    Defect("Ed448", edwards_448(), FIT),
    Defect("a key of agreement", GOOD | {"kty": "OKP", "crv": "X25519"}, FIT),
    Defect("no kty", without("kty", GOOD), FIT),
]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
async def test_a_key_that_breaks_a_rule_verifies_nothing(
    defect: Defect, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(TokenInvalid) as refused:
        await judge(token(KEY), trusted([defect.key, OTHER]))
    assert refused.value.metadata == {"rule": "kid"}
    [line] = [record for record in caplog.records if hasattr(record, "rule")]
    assert defect.said in line.rule


async def test_one_bad_key_does_not_spoil_the_set() -> None:
    for defect in DEFECTS:
        keys = [defect.key | {"kid": "bad"}, GOOD]
        assert await judge(token(KEY), trusted(keys)), defect.name


async def test_two_keys_of_one_name_count_both_for_nothing() -> None:
    with pytest.raises(TokenInvalid) as refused:
        await judge(token(KEY), trusted([GOOD, GOOD]))
    assert refused.value.metadata == {"rule": "kid"}


@pytest.mark.parametrize(
    "members",
    [
        {"use": "sig", "alg": "ES256", "key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
        {"x5c": ["MIIB"], "x5u": "https://evil.test", "something": {"else": 1}},
    ],
    ids=str,
)
async def test_a_key_that_fits_counts(members: dict[str, Any]) -> None:
    assert await judge(token(KEY), trusted([GOOD | members]))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [], "keys": []}',
        b'{"keys": [{"kid": "a", "kid": "b"}]}',
        b'{"keys": [{"kid": "\xff"}]}',
        b'{"keys": ' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"keys": ' + b"[" * 100_000,
        json.dumps({"keys": [GOOD] * (MAX_KEYS + 1)}).encode(),
    ],
    ids=lambda content: content[:24].decode(errors="replace"),
)
def test_bytes_that_are_no_set_of_keys_are_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(KeysRefused):
        parse_keys(content)


def test_what_is_no_key_or_has_no_name_is_passed_over() -> None:
    entries: list[object] = [
        7,
        None,
        [],
        without("kid", GOOD),
        GOOD | {"kid": ""},
        GOOD | {"kid": 7},
        GOOD,
    ]
    assert list(parse_keys(json.dumps({"keys": entries}).encode())) == ["k1"]


def test_a_set_without_keys_is_believed() -> None:
    assert parse_keys(b'{"keys": []}') == {}


@pytest.mark.parametrize(
    ("curve", "alg"), [(ec.SECP256R1(), "ES256"), (ec.SECP384R1(), "ES384")], ids=["256", "384"]
)
async def test_a_curve_has_one_algorithm(curve: ec.EllipticCurve, alg: str) -> None:
    key = ec.generate_private_key(curve)
    jwk = public_jwk(key, "k1")
    assert parse_keys(json.dumps({"keys": [jwk]}).encode())["k1"].algorithms == {alg}
    assert await judge(token(key, alg=alg), trusted([jwk]))


def test_the_keys_that_the_rows_spoil_are_good_without_their_defect() -> None:
    good = [GOOD, OTHER, public_jwk(RSA, "r1")]
    assert set(parse_keys(json.dumps({"keys": good}).encode())) == {"k1", "other", "r1"}
