"""What a policy grants, and one row per way in which a policy file is refused."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import pytest

from forebay.policy.v1 import Visibility
from forebay_kafka.watched_file import MAX_BYTES, ConfigurationInvalid
from forebay_server.errors import TierUnknown
from forebay_server.governance.policy import Policy

FILE = Path("policy.yaml")
GOOD = """\
tiers:
  free: {clearance: PUBLIC, top_k: 5}
  gold: {clearance: CONFIDENTIAL, model: large}
tenants:
  acme:
    tiers:
      gold: {clearance: INTERNAL, top_k: 20}
"""


def policy(text: str) -> Policy:
    return Policy.parse(text.encode(), FILE)


def test_a_tenant_has_its_tiers_as_the_file_changes_them() -> None:
    read = policy(GOOD)
    acme, others = read.tier("acme", "gold"), read.tier("globex", "gold")
    assert acme.clearance == Visibility.VISIBILITY_INTERNAL
    assert others.clearance == Visibility.VISIBILITY_CONFIDENTIAL
    assert (acme.limits.top_k, others.limits.top_k) == (20, 10)
    assert acme.limits.generation == others.limits.generation  # what is not said stays
    assert read.tier("acme", "free") == read.tier("globex", "free")


@pytest.mark.parametrize("tier", ["silver", "", "FREE", "free ", "acme"])
def test_a_tier_that_the_file_does_not_name_is_refused(tier: str) -> None:
    with pytest.raises(TierUnknown) as refused:
        policy(GOOD).tier("acme", tier)
    assert refused.value.metadata == {"tier": tier}


def test_a_policy_cannot_be_changed() -> None:
    read = policy(GOOD)
    with pytest.raises(dataclasses.FrozenInstanceError):
        read.version = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        read.tiers["silver"] = read.tiers["gold"]  # type: ignore[index]


@pytest.mark.parametrize(
    "other",
    [
        GOOD.replace("PUBLIC", "INTERNAL"),
        GOOD.replace("top_k: 20", "top_k: 21"),
        GOOD.replace("acme", "acne"),
        GOOD.replace("model: large", "model: small"),
        GOOD[: GOOD.index("tenants")],
        f"{GOOD}\norigins: ['https://app.example']",
    ],
)
def test_the_version_changes_with_every_rule(other: str) -> None:
    assert policy(other).version != policy(GOOD).version


def test_the_version_stays_when_only_the_spelling_changes() -> None:
    spelled = "# a comment\n" + GOOD.replace("top_k: 20", "'top_k':   20")
    assert policy(spelled).version == policy(GOOD).version


class Defect(NamedTuple):
    """A file, and where it is said to be wrong: line, field and rule."""

    name: str
    text: str
    said: str


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def bomb() -> str:
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]
    return "\n".join(["a0: &a0 x", *lines])


DEFECTS = [
    Defect("nothing", "", " the whole: Input should be"),
    Defect("a list", "[]", " the whole: Input should be"),
    Defect("no tiers", "tenants: {}", " tiers: Field required"),
    Defect("empty tiers", "tiers: {}", "1: tiers: Dictionary should have at least 1 item"),
    Defect("an unknown field", GOOD + "colour: red\n", "8: colour: Extra inputs"),
    Defect("a field in a tier", changed("top_k: 5", "colour: 5"), "2: tiers.free.colour: Extra"),
    Defect("no clearance", changed("clearance: PUBLIC, ", ""), "2: tiers.free.clearance: Field"),
    Defect("a clearance unknown", changed("PUBLIC", "SECRET"), "2: tiers.free.clearance: Input"),
    Defect("a clearance in small", changed("PUBLIC", "public"), "2: tiers.free.clearance: Input"),
    Defect("a number too small", changed("top_k: 5", "top_k: 0"), "2: tiers.free.top_k: Input"),
    Defect("a number too large", changed("top_k: 20", "top_k: 51"), "7: tenants.acme.tiers.gold"),
    Defect("a number in quotes", changed("top_k: 5", "top_k: '5'"), "2: tiers.free.top_k: Input"),
    Defect("an octal number", changed("top_k: 5", "top_k: 010"), "2: tiers.free.top_k: Input"),
    Defect("a time of day", changed("top_k: 5", "top_k: 0:30"), "2: tiers.free.top_k: Input"),
    Defect("a broken number", changed("top_k: 5", "top_k: 5.0"), "2: tiers.free.top_k: Input"),
    Defect("a number of 5,000 digits", changed("top_k: 5", f"top_k: {'9' * 5000}"), "2: tiers"),
    Defect("not a number", changed("top_k: 5", "top_k: .nan"), "2: tiers.free.top_k: Input"),
    Defect("true as a number", changed("top_k: 5", "top_k: true"), "2: tiers.free.top_k: Input"),
    Defect("a model too long", changed("large", "m" * 256), "3: tiers.gold.model: String should"),
    Defect("a line unfinished", changed("clearance: INTERNAL, top_k: 20", "clearance: "), "7: ten"),
    Defect("a tier unfinished", GOOD[: GOOD.index("{clearance: C")], "3: tiers.gold: Input"),
    Defect("a tenant unfinished", GOOD[: GOOD.index("    tiers:")], "5: tenants.acme: Input"),
    Defect("changes of nothing", changed("gold: {clearance: I", "silver: {clearance: I"), "7: ten"),
    Defect("no tenant's name", changed("acme", "Acme"), "5: tenants.Acme"),
    Defect("a tenant of 64", changed("acme", "a" * 64), "5: tenants.aaa"),
    Defect("every origin", GOOD + "origins: ['*']\n", "8: origins.0: String should"),
    Defect("an origin's page", GOOD + "origins: ['https://a.b/c']\n", "8: origins.0: String"),
    Defect("an empty tier name", changed("  free", "  ''"), "2: tiers."),
    Defect("a key twice", changed("  gold: {clearance: C", "  free: {clearance: C"), "3: not YAML"),
    Defect("a key twice, in quotes", changed("top_k: 5", "top_k: 5, 'top_k': 6"), "2: not YAML"),
    Defect("a tenant twice", GOOD + "  acme: {tiers: {free: {top_k: 1}}}\n", "8: not YAML: a key"),
    Defect("a bomb", bomb(), "2: not YAML: an alias"),
    Defect("a merge", "a: &a {b: c}\ntiers: {free: {<<: *a}}", "2: not YAML: an alias"),
    Defect("a tag", changed("PUBLIC", "!!str PUBLIC"), "2: not YAML: a tag"),
    Defect("a program", "!!python/object/apply:os.getcwd []", "1: not YAML: a tag"),
    Defect("a key that is a list", "? [tiers]\n: {}", "1: not YAML: a key that is no text"),
    Defect("a second document", f"{GOOD}---\n{GOOD}", "8: not YAML: a second document"),
    Defect("a deep nest", "[" * 100_000, "1: not YAML: nested deeper"),
    Defect("a tab", "tiers:\n\tfree: {}", "2: not YAML: found"),
    Defect("a bracket that stays open", changed("top_k: 5}", "top_k: 5"), ": not YAML: "),
    Defect("a zero", GOOD + "\0", "8: not YAML: a character"),
]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_file_that_breaks_a_rule_is_refused_by_line_field_and_rule(defect: Defect) -> None:
    with pytest.raises(ConfigurationInvalid) as refused:
        policy(defect.text)
    assert str(refused.value).startswith("policy.yaml:")
    assert defect.said in str(refused.value)


def test_every_broken_rule_is_said_at_once() -> None:
    with pytest.raises(ConfigurationInvalid) as refused:
        policy("tiers:\n  a: {clearance: X}\n  b: {clearance: PUBLIC, top_k: 0}\ncolour: red\n")
    places = [line.split(": ")[0] for line in str(refused.value).splitlines()]
    assert places == ["policy.yaml:2", "policy.yaml:3", "policy.yaml:4"]


def test_a_value_is_never_repeated() -> None:
    with pytest.raises(ConfigurationInvalid) as refused:
        policy(changed("top_k: 5", "top_k: swordfish"))
    assert "swordfish" not in str(refused.value)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(GOOD.encode() + "# für alle\n".encode("latin-1"))
    with pytest.raises(ConfigurationInvalid, match=r"policy\.yaml:8: not YAML: not UTF-8"):
        Policy.from_file(path)


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD + "#" * MAX_BYTES)
    with pytest.raises(ConfigurationInvalid, match=f"larger than {MAX_BYTES} bytes"):
        Policy.from_file(path)


def test_names_are_text_whatever_they_look_like() -> None:
    read = policy("tiers: {1: {clearance: PUBLIC}, no: {clearance: PUBLIC}}")
    assert set(read.tiers) == {"1", "no"}


def test_limits_of_a_tier_are_each_subjects_and_those_of_a_tenant_everybodys() -> None:
    policy = Policy.parse(
        b"""
tiers:
  free: {clearance: PUBLIC, limits: {requests_per_minute: 10, tokens_per_day: 100}}
tenants:
  acme: {limits: {requests_per_minute: 1000, backlog: 5}}
""",
        Path("policy.yaml"),
    )
    usual, acme = (policy.tier(tenant, "free").allowances for tenant in ("globex", "acme"))
    assert (usual.requests_per_minute, usual.requests_of_tenant, usual.backlog) == (10, False, None)
    assert (acme.requests_per_minute, acme.requests_of_tenant) == (1000, True)
    assert (acme.tokens_per_day, acme.backlog) == (100, 5)


@pytest.mark.parametrize(
    "rules", ["{requests_per_minute: 0}", "{backlog: many}", "{calls: 5}", "{tokens_per_day: }"]
)
def test_a_limit_that_is_none_is_named(rules: str) -> None:
    text = f"tiers: {{free: {{clearance: PUBLIC, limits: {rules}}}}}"
    with pytest.raises(ConfigurationInvalid, match=r"policy\.yaml.*limits"):
        Policy.parse(text.encode(), Path("policy.yaml"))


def test_a_tenant_without_anything_of_its_own_is_named() -> None:
    text = "tiers: {free: {clearance: PUBLIC}}\ntenants: {acme: {}}"
    with pytest.raises(ConfigurationInvalid, match="tiers or limits must be set"):
        Policy.parse(text.encode(), Path("policy.yaml"))
