"""What a start finds or makes in the state folder: keys, passwords, policy, issuers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from forebay_standalone.files import PUBLIC, kept, random_hex, write_whole
from forebay_standalone.issuer import DevelopmentIssuer
from forebay_standalone.signing_keys import ed25519_key, public_jwk
from forebay_standalone.state_folder import StateFolder


@dataclass(frozen=True)
class Installation:
    """Files and passwords that the programs are given."""

    policy: Path
    issuers: Path
    envelope_key: Path
    envelope_jwks: Path
    seal_secret: Path
    passwords: Mapping[str, str]


def install(state: StateFolder, issuer: DevelopmentIssuer) -> Installation:
    """Make what is missing; what was edited stays as it is, and so do keys that were changed."""
    policy = state.path / "policy.yaml"
    template = files("forebay_standalone").joinpath("policy.yaml")
    kept(policy, template.read_text, PUBLIC)
    issuers = state.path / "issuers.json"
    write_whole(issuers, json.dumps([issuer.described()], indent=2) + "\n")
    envelope_key = state.secrets / "envelope-key.json"
    envelope_jwks = state.path / "envelope-jwks.json"
    if not (envelope_key.exists() and envelope_jwks.exists()):
        public = public_jwk(ed25519_key(envelope_key))
        write_whole(envelope_jwks, json.dumps({"keys": [public]}, indent=2) + "\n")
    seal_secret = state.secrets / "seal-secret"
    kept(seal_secret, random_hex)
    roles = ("write", "retrieve")
    passwords = {role: kept(state.secrets / f"postgres-{role}", random_hex) for role in roles}
    return Installation(policy, issuers, envelope_key, envelope_jwks, seal_secret, passwords)
