"""Keys of envelopes: each vouches for its own time, and they change while programs run."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from forebay_kafka.envelope import EnvelopeSigner, EnvelopeVerifier, Statement
from forebay_kafka.envelope_files import SigningKeyFile, VerificationKeyFile
from forebay_kafka.envelope_keys import public_jwks, signing_keys, verification_keys
from forebay_kafka.errors import IdentityInvalid, NobodyVouches
from forebay_kafka.identity import Identity
from forebay_kafka.watched_file import ConfigurationInvalid

STATEMENT = Statement("queries/abc")
NOW = int(time.time())


def private(key_id: str) -> dict[str, Any]:
    algorithm = jwt.get_algorithm_by_name("EdDSA")
    return {**algorithm.to_jwk(Ed25519PrivateKey.generate(), as_dict=True), "kid": key_id}


def public(key: dict[str, Any], **window: Any) -> dict[str, Any]:
    return {**{name: value for name, value in key.items() if name != "d"}, **window}


def jwks(*keys: dict[str, Any]) -> str:
    return json.dumps({"keys": keys})


def signed(key: dict[str, Any], identity: Identity) -> bytes:
    return EnvelopeSigner(signing_keys(json.dumps(key))).seal(identity, "t", b"", STATEMENT)


def key_id_of(token: bytes) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


@dataclass(frozen=True)
class Files:
    """The two files of keys."""

    public: Path
    private: Path

    def say(self, *believed: dict[str, Any], sign_with: dict[str, Any]) -> None:
        self.public.write_text(jwks(*believed))
        self.private.write_text(json.dumps(sign_with))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "jwks.json", tmp_path / "key.json")


@pytest.mark.parametrize(
    ("window", "vouches"),
    [
        ({}, True),
        ({"nbf": NOW - 60}, True),
        ({"nbf": NOW + 3600}, False),
        ({"exp": NOW + 3600}, True),
        ({"exp": NOW - 60}, False),
        ({"nbf": NOW - 60, "exp": NOW + 3600}, True),
        ({"nbf": NOW - 60, "exp": NOW - 30}, False),
    ],
)
def test_a_key_vouches_for_what_was_issued_in_its_time(
    identity: Identity,
    window: dict[str, int],
    vouches: bool,  # noqa: FBT001 a row of a table
) -> None:
    key = private("k")
    verifier = EnvelopeVerifier(verification_keys(jwks(public(key, **window))))
    token = signed(key, identity)
    assert verifier.believes("k", NOW) is vouches
    if vouches:
        assert verifier.verify(token).identity == identity
    else:
        with pytest.raises(IdentityInvalid):
            verifier.verify(token)


def test_a_key_whose_time_is_over_still_vouches_for_what_it_signed_before(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = private("k")
    ended = verification_keys(jwks(public(key, nbf=1_000, exp=2_000)))
    monkeypatch.setattr("forebay_kafka.envelope.time.time", lambda: 1_999.9)
    token = signed(key, identity)
    monkeypatch.undo()
    assert EnvelopeVerifier(ended).verify(token).issue_time == 1_999


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "neither"),
        ('{"keys": 1}', "a list"),
        ('{"keys": []}', "empty"),
        ('{"keys": ["x"]}', "not an Ed25519 JWK"),
        (jwks({"kty": "oct", "k": "c2VjcmV0", "kid": "k"}), "Ed25519"),
        (jwks(private("k")), "public"),
        (jwks(public(private("k")), public(private("k"))), "two"),
        (jwks(public(private("k"), nbf="1")), "nbf"),
        (jwks(public(private("k"), exp=True)), "exp"),
        (jwks(public(private("k"), exp=[])), "exp"),
        (jwks(public(private("k"), nbf=2, exp=1)), "ends before"),
    ],
)
def test_a_file_of_keys_that_is_none_is_refused_and_named(
    files: Files, content: str, reason: str
) -> None:
    files.public.write_text(content)
    with pytest.raises(ConfigurationInvalid, match=reason) as refused:
        VerificationKeyFile(files.public)
    assert str(files.public) in str(refused.value)


def test_the_keys_are_shown_as_they_were_read() -> None:
    keys = verification_keys(jwks(public(private("a"), nbf=5), public(private("b"), exp=9.5)))
    assert verification_keys(public_jwks(keys)) == keys


def test_a_key_that_was_written_a_moment_ago_is_believed_at_once(
    files: Files, identity: Identity
) -> None:
    old, new = private("old"), private("new")
    files.public.write_text(jwks(public(old)))
    file = VerificationKeyFile(files.public)
    with pytest.raises(IdentityInvalid):
        file.verifier.verify(signed(new, identity))
    files.public.write_text(jwks(public(old), public(new)))
    assert file.verifier.verify(signed(new, identity)).identity == identity
    assert file.verifier.verify(signed(old, identity)).identity == identity


async def test_a_key_that_was_taken_out_is_believed_no_longer(
    files: Files, identity: Identity
) -> None:
    old, new = private("old"), private("new")
    files.public.write_text(jwks(public(old), public(new)))
    file = VerificationKeyFile(files.public)
    token = signed(old, identity)
    file.verifier.verify(token)
    files.public.write_text(jwks(public(new)))
    await file.look()
    await file.look()
    with pytest.raises(IdentityInvalid):
        file.verifier.verify(token)


async def test_a_file_that_turns_bad_leaves_its_last_keys_in_force(
    files: Files, identity: Identity
) -> None:
    key = private("k")
    files.public.write_text(jwks(public(key)))
    file = VerificationKeyFile(files.public)
    files.public.write_text(jwks(public(key))[:-9])
    await file.look()
    await file.look()
    assert "not JSON" in (file.problem or "")
    with pytest.raises(IdentityInvalid):
        file.verifier.verify(signed(private("other"), identity))
    assert file.verifier.verify(signed(key, identity)).identity == identity


async def test_a_new_key_signs_once_it_is_believed_and_not_before(
    files: Files, identity: Identity
) -> None:
    old, new = private("old"), private("new")
    files.say(public(old), sign_with=old)
    believed = VerificationKeyFile(files.public)
    signing = SigningKeyFile(files.private, believed.verifier)
    files.say(public(old), sign_with=new)
    await signing.look()
    await signing.look()
    assert key_id_of(signing.signer.seal(identity, "t", b"", STATEMENT)) == "old"
    files.say(public(old), public(new), sign_with=new)
    assert key_id_of(signing.signer.seal(identity, "t", b"", STATEMENT)) == "new"


def test_of_several_keys_the_first_that_is_in_its_time_signs(
    files: Files, identity: Identity
) -> None:
    early, late = private("early"), private("late")
    files.public.write_text(jwks(public(early), public(late, nbf=NOW + 3600)))
    files.private.write_text(jwks(late, early))
    signer = SigningKeyFile(files.private, VerificationKeyFile(files.public).verifier).signer
    assert key_id_of(signer.seal(identity, "t", b"", STATEMENT)) == "early"


def test_without_a_key_in_its_time_nothing_is_signed(files: Files, identity: Identity) -> None:
    key = private("k")
    files.say(public(key, exp=NOW - 1), sign_with=key)
    signer = SigningKeyFile(files.private, VerificationKeyFile(files.public).verifier).signer
    assert not signer.may_sign()
    with pytest.raises(NobodyVouches):
        signer.seal(identity, "t", b"", STATEMENT)
