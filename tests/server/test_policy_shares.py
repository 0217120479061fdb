"""Collections that policy shares: who receives what, and one row per share that means nothing."""

from pathlib import Path

import pytest

from forebay_kafka.identity import Grant
from forebay_kafka.watched_file import ConfigurationInvalid
from forebay_server.errors import CollectionReadOnly
from forebay_server.governance.policy import Policy
from forebay_server.governance.shares import MAX_RECEIVED, require_own, searched

TIERS = "tiers: {free: {clearance: PUBLIC}}\nshared:\n"
MANUALS = "- {owner: vendor, collection: manuals, alias: vendor-manuals, tenants: [acme, globex]}\n"
GRANT = Grant("vendor-manuals", "vendor", "manuals")
OTHER = Grant("rival-manuals", "rival", "manuals")


def policy(shares: str) -> Policy:
    return Policy.parse(f"{TIERS}{shares}".encode(), Path("policy.yaml"))


def test_every_receiving_tenant_has_the_collection_under_its_alias_and_no_other_tenant() -> None:
    read = policy(MANUALS)
    assert read.grants("acme") == read.grants("globex") == (GRANT,)
    assert read.grants("vendor") == read.grants("initech") == ()


def test_one_alias_may_mean_another_collection_to_another_tenant() -> None:
    mine = "- {owner: rival, collection: manuals, alias: vendor-manuals, tenants: [initech]}\n"
    read = policy(MANUALS + mine)
    assert read.grants("initech") == (Grant("vendor-manuals", "rival", "manuals"),)


def test_what_is_shared_belongs_to_the_version() -> None:
    assert policy(MANUALS).version != policy(MANUALS.replace(", globex", "")).version


def changed(old: str, new: str) -> str:
    assert old in MANUALS
    return MANUALS.replace(old, new)


def many(count: int) -> str:
    return "".join(
        f"- {{owner: v{number}, collection: c, alias: a{number}, tenants: [acme]}}\n"
        for number in range(count)
    )


TWICE = "- {owner: rival, collection: c, alias: vendor-manuals, tenants: [initech, globex]}\n"
SAME = "- {owner: vendor, collection: manuals, alias: other, tenants: [globex]}\n"
ONWARD = "- {owner: globex, collection: vendor-manuals, alias: a, tenants: [initech]}\n"


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        (changed("[acme, globex]", "[acme, vendor]"), "3: shared.0.tenants: a tenant shares not"),
        (changed("alias: vendor-manuals", "alias: default"), "3: shared.0.alias: that name is"),
        (changed("[acme, globex]", "[acme, acme]"), "3: shared.0.alias: a receiving tenant has"),
        (MANUALS + TWICE, "4: shared.1.alias: a receiving tenant has that alias already"),
        (MANUALS + SAME, "4: shared.1.tenants: a tenant receives that collection already"),
        (MANUALS + ONWARD, "4: shared.1.collection: it is shared with its owner already"),
        (ONWARD + MANUALS, "3: shared.0.collection: it is shared with its owner already"),
        (many(MAX_RECEIVED + 1), "19: shared.16.tenants: a tenant receives at most 16"),
        (changed("[acme, globex]", "[]"), "3: shared.0.tenants: List should have at least 1"),
        (changed("[acme, globex]", "acme"), "3: shared.0.tenants: Input should be a valid list"),
        (changed("[acme, globex]", "[Acme]"), "3: shared.0.tenants.0: String should match"),
        (changed("[acme, globex]", "['*']"), "3: shared.0.tenants.0: String should match"),
        (changed("owner: vendor, ", ""), "3: shared.0.owner: Field required"),
        (changed("collection: manuals", "collection: a/b"), "3: shared.0.collection: String"),
        (changed("collection: manuals", "collection: "), "3: shared.0.collection: Input"),
        (changed("alias: vendor-manuals", "alias: ''"), "3: shared.0.alias: String should"),
        (changed("owner", "write: true, owner"), "3: shared.0.write: Extra inputs are not"),
        (changed("owner: vendor", f"owner: {'v' * 64}"), "3: shared.0.owner: String should"),
        ("", "2: shared: Input should be a valid list"),
        ("  acme: {collection: manuals}\n", "shared: Input should be a valid list"),
    ],
)
def test_a_share_that_means_nothing_is_refused_by_line_field_and_rule(
    shares: str, said: str
) -> None:
    with pytest.raises(ConfigurationInvalid) as refused:
        policy(shares)
    assert said in str(refused.value)
    assert str(refused.value).startswith("policy.yaml:")


def test_as_many_collections_are_received_as_a_question_may_name() -> None:
    assert len(policy(many(MAX_RECEIVED)).grants("acme")) == MAX_RECEIVED


@pytest.mark.parametrize(
    "name", ["collections/vendor-manuals", "collections/vendor-manuals/documents/weir"]
)
def test_what_others_share_is_never_written(name: str) -> None:
    with pytest.raises(CollectionReadOnly) as refused:
        require_own((OTHER, GRANT), name)
    assert refused.value.metadata == {"collection": "vendor-manuals"}


@pytest.mark.parametrize(
    "name", ["collections/manuals", "collections/vendor/documents/vendor-manuals"]
)
def test_every_other_name_is_the_tenants_own(name: str) -> None:
    require_own((OTHER, GRANT), name)


@pytest.mark.parametrize(
    ("collections", "found"),
    [
        ([], (GRANT, OTHER)),
        (["collections/notes"], ()),
        (["collections/notes", "collections/rival-manuals"], (OTHER,)),
        (["collections/manuals", "collections/vendor"], ()),
    ],
)
def test_a_question_searches_what_it_names_and_all_when_it_names_nothing(
    collections: list[str], found: tuple[Grant, ...]
) -> None:
    assert searched((GRANT, OTHER), collections) == found
