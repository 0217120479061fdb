"""Who may read what: the functions filter, and the database filters again by itself."""

import itertools
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forebay_postgres import (
    AccessUpdate,
    DocumentKey,
    Permissions,
    PostgresSettings,
    Ranking,
    SharedCollection,
)
from forebay_postgres.permissions import assume

PUBLIC, INTERNAL, CONFIDENTIAL = 1, 2, 3
PROTECTED = ["documents", "versions_refused", "publications", "passages", "catalogue"]


async def texts(storage: Any, permissions: Permissions, **wanted: Any) -> set[str]:
    found = await storage.retriever.search(
        permissions, storage.index, "fact", (1, 0, 0), 100, **wanted
    )
    return {passage.text for passage in found}


def key(name: str, tenant: str = "acme", collection: str = "default") -> DocumentKey:
    return DocumentKey(tenant, collection, name)


async def publish(
    storage: Any, make: Any, document: DocumentKey, at: int = 1, **access: Any
) -> None:
    version = make.version(at, document, **access)
    text = f"fact {document.tenant} {document.collection} {document.document_id} {at}"
    verdict = await storage.indexer.publish(version, storage.index.id, make.passages(text))
    assert verdict.accepted


def by_hand(
    settings: PostgresSettings,
    statement: str,
    settings_of_transaction: dict[str, str] | None = None,
) -> list[tuple[Any, ...]]:
    assert settings.retrieve_dsn is not None
    with psycopg.connect(settings.retrieve_dsn.get_secret_value()) as connection:
        for name, value in (settings_of_transaction or {}).items():
            connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        return connection.execute(statement.encode()).fetchall()


async def test_a_caller_finds_passages_of_its_tenant_only(storage: Any, make: Any) -> None:
    await publish(storage, make, key("mine"))
    await publish(storage, make, key("theirs", tenant="rival"))
    assert await texts(storage, Permissions("acme", 3)) == {"fact acme default mine 1"}


@pytest.mark.parametrize("table", PROTECTED)
async def test_without_settings_the_retrieve_role_sees_nothing(
    storage: Any, make: Any, table: str
) -> None:
    await publish(storage, make, key("mine"))
    assert by_hand(storage.settings, f"TABLE forebay.{table}") == []


@pytest.mark.parametrize("table", PROTECTED)
async def test_sql_by_hand_sees_rows_of_the_bound_tenant_only(
    storage: Any, make: Any, table: str
) -> None:
    for tenant in ("acme", "rival"):
        await publish(storage, make, key("one", tenant=tenant))
        await storage.catalogue.accept(make.version(2, key("locked", tenant=tenant)))
        await storage.catalogue.accept(make.version(3, key("one", tenant=tenant), visibility=3))
        await storage.catalogue.accept(make.version(4, key("one", tenant=tenant), clearance=1))
    rows = by_hand(
        storage.settings,
        f"SELECT DISTINCT tenant FROM forebay.{table}",  # noqa: S608
        {"forebay.tenant": "acme", "forebay.clearance": "3"},
    )
    assert rows == [("acme",)]


@pytest.mark.parametrize(
    "bound",
    [
        {"forebay.tenant": "acme"},
        {"forebay.clearance": "3"},
        {"forebay.tenant": "", "forebay.clearance": "3"},
        {"forebay.tenant": "acme", "forebay.clearance": ""},
        {"forebay.tenant": "acme", "forebay.clearance": "9"},
        {"forebay.tenant": "acme", "forebay.clearance": "three"},
        {"forebay.shared": "{acme/default}", "forebay.clearance": "3"},
        {"forebay.tenant": "rival", "forebay.clearance": "3", "forebay.groups": "{"},
        {"forebay.tenant": "rival", "forebay.clearance": "3", "forebay.shared": "acme/default"},
    ],
    ids=str,
)
async def test_missing_or_malformed_settings_grant_nothing_and_raise_nothing(
    storage: Any, make: Any, bound: dict[str, str]
) -> None:
    await publish(storage, make, key("mine"))
    for source in (
        "forebay.passages",
        "forebay.catalogue",
        f"forebay.search_text('{storage.index.id}', 'fact', 9, NULL, NULL)",
        f"forebay.search_vectors('{storage.index.id}', '[1,0,0]', 9, NULL, NULL)",
    ):
        assert by_hand(storage.settings, f"SELECT FROM {source}", bound) == []


async def test_settings_end_with_their_transaction(storage: Any, make: Any) -> None:
    await publish(storage, make, key("mine"))
    pool = storage.reader._pool
    async with pool.transaction() as connection:
        await assume(connection, Permissions("acme", 3))
        backend = connection.info.backend_pid
    async with pool.transaction() as connection:
        assert connection.info.backend_pid == backend
        assert await (await connection.execute("SELECT FROM passages")).fetchall() == []


async def test_the_search_functions_reach_no_further_than_the_settings(
    storage: Any, make: Any
) -> None:
    await publish(storage, make, key("theirs", tenant="rival"))
    await publish(storage, make, key("secret"), visibility=CONFIDENTIAL)
    await publish(storage, make, key("board"), readers=["board"])
    bound = {"forebay.tenant": "acme", "forebay.clearance": "2"}
    for scopes in ("NULL", "ARRAY['rival/default', 'acme/default']"):
        for call in (
            f"search_vectors('{storage.index.id}', '[1,0,0]', 100, {scopes}, NULL)",
            f"search_text('{storage.index.id}', 'fact', 100, {scopes}, NULL)",
        ):
            assert by_hand(storage.settings, f"SELECT FROM forebay.{call}", bound) == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM forebay.permitted_publications('i', '{rival}', NULL, NULL)",
        "SELECT forebay.question_terms('a')",
        "UPDATE forebay.documents SET visibility = 1",
        "DELETE FROM forebay.passages",
        "INSERT INTO forebay.indexes VALUES ('i', 'm', 3, 'c', 'BUILDING')",
        "SELECT * FROM forebay.migrations",
        "SET ROLE forebay_write",
        "SET ROLE forebay_migrate",
        "ALTER TABLE forebay.passages DISABLE ROW LEVEL SECURITY",
        "CREATE TABLE forebay.mine ()",
        "CREATE FUNCTION forebay.mine() RETURNS int RETURN 1",
    ],
)
async def test_the_retrieve_role_has_no_other_right(storage: Any, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        by_hand(storage.settings, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM documents",
        "SET ROLE forebay_migrate",
        "DROP TABLE passages",
        "DROP POLICY reads ON passages",
        "SELECT * FROM search_text('i', 'a', 1, NULL, NULL)",
    ],
)
async def test_the_write_role_has_no_right_beyond_its_work(storage: Any, statement: str) -> None:
    with pytest.raises(Exception, match="SQLSTATE 42501"):
        async with storage.catalogue._pool.transaction() as connection:
            await connection.execute(statement.encode())


async def test_a_tightened_visibility_hides_what_is_indexed_at_once(
    storage: Any, make: Any
) -> None:
    await publish(storage, make, key("memo"))
    update = AccessUpdate(
        key=key("memo"),
        version=make.id(2),
        accept_time=make.version(2).accept_time,
        writer_clearance=3,
        visibility=CONFIDENTIAL,
    )
    await storage.catalogue.update(update)
    assert await texts(storage, Permissions("acme", INTERNAL)) == set()
    assert await texts(storage, Permissions("acme", CONFIDENTIAL)) == {"fact acme default memo 1"}


async def test_a_more_open_version_does_not_open_the_text_that_it_will_replace(
    storage: Any, make: Any
) -> None:
    document = key("memo")
    await publish(storage, make, document, visibility=CONFIDENTIAL)
    await storage.catalogue.accept(make.version(2, document, visibility=PUBLIC))
    public = Permissions("acme", PUBLIC)
    assert await texts(storage, public) == set()
    assert await storage.reader.get(public, document) is not None
    bound = {"forebay.tenant": "acme", "forebay.clearance": "1"}
    assert by_hand(storage.settings, "SELECT content FROM forebay.passages", bound) == []
    await publish(storage, make, document, at=2, visibility=PUBLIC)
    assert await texts(storage, public) == {"fact acme default memo 2"}


async def test_readers_of_the_text_that_waits_for_its_successor_stay_its_readers(
    storage: Any, make: Any
) -> None:
    document = key("memo")
    await publish(storage, make, document, readers=["board"])
    await storage.catalogue.accept(make.version(2, document))
    await storage.catalogue.accept(make.version(3, document))
    assert await texts(storage, Permissions("acme", 3)) == set()
    assert await texts(storage, Permissions("acme", 3, ("board",))) == {"fact acme default memo 1"}


async def test_a_text_that_waits_for_a_second_successor_stays_as_narrow_as_it_became(
    storage: Any, make: Any
) -> None:
    document = key("memo")
    await publish(storage, make, document)
    await storage.catalogue.accept(make.version(2, document))
    tightened = AccessUpdate(
        key=document,
        version=make.id(3),
        accept_time=make.version(3).accept_time,
        writer_clearance=3,
        visibility=CONFIDENTIAL,
        readers=("board",),
    )
    await storage.catalogue.update(tightened)
    await storage.catalogue.accept(make.version(4, document))
    assert await texts(storage, Permissions("acme", PUBLIC, ("board",))) == set()
    assert await texts(storage, Permissions("acme", CONFIDENTIAL)) == set()
    cleared = Permissions("acme", CONFIDENTIAL, ("board",))
    assert await texts(storage, cleared) == {"fact acme default memo 1"}
    await publish(storage, make, document, at=5)
    assert await texts(storage, Permissions("acme", PUBLIC)) == {"fact acme default memo 5"}


async def test_a_text_whose_readers_were_exchanged_waits_with_those_who_were_both(
    storage: Any, make: Any
) -> None:
    document = key("memo")
    await publish(storage, make, document, readers=["board", "tax"])
    await storage.catalogue.accept(make.version(2, document, readers=["tax", "press"]))
    await storage.catalogue.accept(make.version(3, document))
    both = Permissions("acme", 3, ("tax",))
    assert await texts(storage, both) == {"fact acme default memo 1"}
    assert await texts(storage, Permissions("acme", 3, ("board", "press"))) == set()
    await storage.catalogue.accept(make.version(4, document, readers=["press"]))
    await storage.catalogue.accept(make.version(5, document))
    assert await texts(storage, Permissions("acme", 3, ("board", "tax", "press", ""))) == set()


async def test_a_found_passage_says_by_which_groups_it_was_found(storage: Any, make: Any) -> None:
    await publish(storage, make, key("all"))
    await publish(storage, make, key("some"), readers=["board", "press", "tax"])
    exchanged = key("exchanged")
    await publish(storage, make, exchanged, readers=["board", "tax"])
    await storage.catalogue.accept(make.version(2, exchanged, readers=["press", "tax"]))
    found = await storage.retriever.search(
        Permissions("acme", 3, ("ops", "tax", "board")), storage.index, "fact", (1, 0, 0), 9
    )
    assert {passage.key.document_id: passage.groups for passage in found} == {
        "all": (),
        "some": ("board", "tax"),
        "exchanged": ("tax",),
    }


async def test_a_found_passage_says_the_clearance_that_it_needs(storage: Any, make: Any) -> None:
    document = key("memo")
    await publish(storage, make, document, visibility=INTERNAL)
    await storage.catalogue.accept(make.version(2, document, visibility=PUBLIC))
    found = await storage.retriever.search(
        Permissions("acme", 3), storage.index, "fact", (1, 0, 0), 9
    )
    assert [passage.visibility for passage in found] == [INTERNAL]


async def test_a_shared_collection_is_read_under_its_alias(storage: Any, make: Any) -> None:
    await publish(storage, make, key("guide", tenant="vendor", collection="kb"))
    await publish(storage, make, key("draft", tenant="vendor", collection="drafts"))
    await publish(storage, make, key("staff", tenant="vendor", collection="kb"), readers=["all"])
    shared = SharedCollection(alias="vendor-kb", tenant="vendor", collection="kb")
    me = Permissions("acme", 3, groups=("all",), shared=(shared,))
    found = await storage.retriever.search(me, storage.index, "fact", (1, 0, 0), 9)
    assert [passage.key for passage in found] == [key("guide", collection="vendor-kb")]
    assert await texts(storage, me, collections=["default"]) == set()
    assert await texts(storage, me, collections=["vendor-kb"]) == {"fact vendor kb guide 1"}
    entry = await storage.reader.get(me, key("guide", collection="vendor-kb"))
    assert entry is not None
    assert entry.key == key("guide", collection="vendor-kb")
    assert [e.key.document_id for e in await storage.reader.list(me, "vendor-kb", 9)] == ["guide"]


async def test_an_alias_hides_the_own_collection_of_that_name(storage: Any, make: Any) -> None:
    await publish(storage, make, key("guide", tenant="vendor", collection="kb"))
    for collection in ("vendor-kb", "kb"):
        await publish(storage, make, key("guide", collection=collection))
    shared = SharedCollection(alias="vendor-kb", tenant="vendor", collection="kb")
    me = Permissions("acme", 3, shared=(shared,))
    assert await texts(storage, me) == {"fact vendor kb guide 1", "fact acme kb guide 1"}
    assert await texts(storage, me, collections=["vendor-kb"]) == {"fact vendor kb guide 1"}
    bound = {
        "forebay.tenant": "acme",
        "forebay.clearance": "3",
        "forebay.shared": "{vendor/kb}",
        "forebay.reserved": "{vendor-kb}",
    }
    rows = by_hand(storage.settings, "SELECT tenant, collection FROM forebay.documents", bound)
    assert sorted(rows) == [("acme", "kb"), ("vendor", "kb")]
    assert len(await texts(storage, Permissions("acme", 3))) == 2


async def test_a_collection_is_found_only_when_asked_for(storage: Any, make: Any) -> None:
    await publish(storage, make, key("a", collection="one"))
    await publish(storage, make, key("b", collection="two"))
    me = Permissions("acme", 3)
    assert await texts(storage, me, collections=["two"]) == {"fact acme two b 1"}
    assert await texts(storage, me, collections=[]) == set()
    assert len(await texts(storage, me)) == 2


HOSTILE = ["'; DROP TABLE forebay.passages; --", '"}', "{acme/default}", "a,b", "\\", "%s", "/"]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_strings_are_only_strings(storage: Any, make: Any, text: str) -> None:
    await publish(storage, make, key("marked"), labels={text: text}, readers=[text])
    await publish(storage, make, key("plain"), labels={"team": "tax"})
    me = Permissions("acme", 3, (text,))
    assert await texts(storage, me, labels={text: text}) == {"fact acme default marked 1"}
    assert await texts(storage, me, labels={"team": text}) == set()
    assert await texts(storage, me, collections=[text]) == set()
    assert await texts(storage, Permissions(text, 3, (text,))) == set()
    found = await storage.retriever.search(
        me, storage.index, f"{text} fact", (1, 0, 0), 9, ranking=Ranking.TEXT
    )
    assert len(found) == 2


async def test_labels_must_all_be_equal(storage: Any, make: Any) -> None:
    await publish(storage, make, key("both"), labels={"team": "tax", "year": "2026"})
    await publish(storage, make, key("one"), labels={"team": "tax"})
    me = Permissions("acme", 3)
    both = {"team": "tax", "year": "2026"}
    assert await texts(storage, me, labels=both) == {"fact acme default both 1"}
    assert len(await texts(storage, me, labels={"team": "tax"})) == 2


async def test_a_caller_without_clearance_cannot_tell_a_document_from_none(
    storage: Any, make: Any
) -> None:
    await storage.catalogue.accept(make.version(1, visibility=CONFIDENTIAL))
    public = Permissions("acme", PUBLIC)
    assert await storage.reader.get(public, make.key) is None
    assert await storage.reader.get_version_state(public, make.key, make.id(1)) is None
    assert await storage.reader.list(public, "default", 10) == []


GROUPS = ["board", "tax", "a b", '"', "{}", "NULL", "null", ""]
TENANTS = ["acme", "rival", "acme/x", ""]


@pytest.fixture
async def every_access(storage: Any, make: Any) -> dict[str, tuple[str, int, tuple[str, ...]]]:
    readerships: list[Sequence[str]] = [(), *((group,) for group in GROUPS), ("board", "tax")]
    documents = {}
    for number, (tenant, visibility, readers) in enumerate(
        itertools.product(("acme", "rival"), (1, 2, 3), readerships)
    ):
        document = key(f"d{number}", tenant=tenant)
        await publish(storage, make, document, visibility=visibility, readers=readers)
        documents[f"fact {tenant} default d{number} 1"] = (tenant, visibility, tuple(readers))
    return documents


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    me=st.builds(
        Permissions,
        st.sampled_from(TENANTS),
        st.integers(1, 3),
        st.lists(st.sampled_from(GROUPS), unique=True).map(tuple),
    )
)
async def test_permission_filtering_equals_brute_force(
    storage: Any, every_access: Any, me: Permissions
) -> None:
    permitted = {
        text
        for text, (tenant, visibility, readers) in every_access.items()
        if tenant == me.tenant
        and visibility <= me.clearance
        and (not readers or set(readers) & set(me.groups))
    }
    assert await texts(storage, me) == permitted
    entries = await storage.reader.list(me, "default", 1000)
    assert {f"fact {me.tenant} default {e.key.document_id} 1" for e in entries} == permitted
