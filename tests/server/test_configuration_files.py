from pathlib import Path

import pytest

from forebay.policy.v1 import Visibility
from forebay_kafka.watched_file import ConfigurationInvalid
from forebay_server.errors import TierUnknown
from forebay_server.governance.issuers import read_issuers
from forebay_server.governance.policy import Policy
from forebay_server.settings import ServerSettings, read_settings, split_address


def written(folder: Path, content: str) -> Path:
    path = folder / "file.yaml"
    path.write_text(content)
    return path


def test_a_tier_says_what_its_callers_may(tmp_path: Path) -> None:
    policy = Policy.from_file(
        written(tmp_path, "tiers: {free: {clearance: PUBLIC, top_k: 3, model: small}}")
    )
    tier = policy.tier("acme", "free")
    assert tier.clearance == Visibility.VISIBILITY_PUBLIC
    assert (tier.limits.top_k, tier.limits.generation.model) == (3, "small")


def test_a_tier_that_the_policy_lacks_is_refused(tmp_path: Path) -> None:
    policy = Policy.from_file(written(tmp_path, "tiers: {free: {clearance: PUBLIC}}"))
    with pytest.raises(TierUnknown) as refused:
        policy.tier("acme", "gold")
    assert refused.value.metadata == {"tier": "gold"}


def test_the_version_follows_the_rules_and_not_their_spelling(tmp_path: Path) -> None:
    def version(content: str) -> str:
        return Policy.from_file(written(tmp_path, content)).version

    first = version("tiers: {a: {clearance: PUBLIC}, b: {clearance: INTERNAL}}")
    same = version("# a comment\ntiers: {b: {clearance: INTERNAL}, a: {clearance: PUBLIC}}")
    other = version("tiers: {a: {clearance: PUBLIC}, b: {clearance: CONFIDENTIAL}}")
    assert first == same != other


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("tiers: {free: {clearance: SECRET}}", "tiers.free.clearance"),
        ("tiers: {free: {clearance: PUBLIC, top_k: 0}}", "tiers.free.top_k"),
        ("tiers: {free: {clearance: PUBLIC, colour: red}}", "tiers.free.colour"),
        ("tiers: {}", "tiers"),
        ("[]", "the whole"),
        ("a: [", "not YAML"),
        ("!!python/object/apply:os.getcwd []", "not YAML"),
    ],
)
def test_a_policy_that_breaks_a_rule_is_refused_by_its_field(
    tmp_path: Path, content: str, named: str
) -> None:
    with pytest.raises(ConfigurationInvalid, match=named):
        Policy.from_file(written(tmp_path, content))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"nowhere\.yaml: No such file"):
        Policy.from_file(tmp_path / "nowhere.yaml")


ONE = "{issuer: 'https://a.test', audience: forebay, jwks_file: a.json}"


def with_rule(text: str) -> str:
    return f"[{ONE.replace('}', f', {text}}}')}]"


@pytest.mark.parametrize(
    "url",
    [
        "https://id.test/keys",
        "http://127.0.0.1:9000/keys",
        "http://127.8.0.1/keys",
        "http://localhost/keys",
        "http://[::1]:80/keys",
    ],
)
def test_keys_travel_encrypted_or_within_this_machine(tmp_path: Path, url: str) -> None:
    content = f"[{{issuer: 'https://a.test', audience: forebay, jwks_url: '{url}'}}]"
    assert str(read_issuers(written(tmp_path, content))[0].jwks_url) == url.replace(":80/", "/")


def test_a_lone_issuer_may_speak_for_any_tenant(tmp_path: Path) -> None:
    assert read_issuers(written(tmp_path, f"[{ONE}]"))[0].speaks_for("acme")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (f"[{ONE}, {ONE}]", "named twice"),
        (f"[{ONE}, {ONE.replace('a.test', 'b.test')}]", "each must say its tenants"),
        ("[]", "at least 1"),
        (f"[{ONE.replace('forebay', '7')}]", "0.audience"),
        (with_rule("tenants: [Acme]"), "tenants"),
        (with_rule("tenants: ['*']"), "tenants"),
        (with_rule("tenants: ['a*b']"), "tenants"),
        (with_rule("tenants: []"), "tenants"),
        (with_rule("tenants: all"), "tenants"),
        (with_rule("operators: 1"), "operators"),
        (with_rule("algorithms: [HS256]"), "algorithms"),
        (with_rule("algorithms: [none]"), "algorithms"),
        (with_rule("algorithms: []"), "algorithms"),
        (with_rule("leeway_seconds: 61"), "leeway_seconds"),
        (with_rule("leeway_seconds: -1"), "leeway_seconds"),
        (with_rule("lifetime_limit_seconds: 0"), "lifetime_limit_seconds"),
        (with_rule("fetch_timeout_seconds: 0"), "fetch_timeout_seconds"),
        (with_rule("hard_age_seconds: .inf"), "hard_age_seconds"),
        (with_rule("hard_age_seconds: 300"), "below fresh_seconds"),
        (with_rule("jwks_url: 'https://a.test/keys'"), "either jwks_url or jwks_file"),
        (with_rule("colour: red"), "colour"),
        ("[{issuer: 'https://a.test', audience: forebay}]", "either jwks_url or jwks_file"),
        *(
            (f"[{{issuer: 'https://a.test', audience: forebay, jwks_url: '{url}'}}]", "jwks_url")
            for url in (
                "http://id.test/keys",
                "http://localhost.id.test/keys",
                "http://127.0.0.1.id.test/keys",
                "http://10.0.0.1/keys",
                "http://0.0.0.0/keys",
                "https://user:password@id.test/keys",
                "ftp://id.test/keys",
                "file:///etc/keys",
                "id.test/keys",
            )
        ),
    ],
)
def test_issuers_that_break_a_rule_are_refused(tmp_path: Path, content: str, named: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=named):
        read_issuers(written(tmp_path, content))


def test_a_wrong_variable_is_named_and_its_value_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_PROCESSES", "s3cret")
    with pytest.raises(ConfigurationInvalid) as refused:
        read_settings(ServerSettings)
    assert "FOREBAY_PROCESSES: " in str(refused.value)
    assert "FOREBAY_POLICY_FILE: Field required" in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("address", ["7080", "host:", ":80", "host:70000", "host:x"])
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        split_address(address)


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    assert split_address("[::1]:80") == ("::1", 80)
