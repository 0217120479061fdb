"""Versions, updates and deletions in any order: the highest version wins, not the last."""

from datetime import datetime
from typing import Any

import pytest

from forebay_postgres import (
    AccessUpdate,
    DocumentKey,
    DocumentState,
    Failure,
    Outcome,
    Permissions,
    VersionState,
)

CONFIDENTIAL, INTERNAL, PUBLIC = 3, 2, 1
ME = Permissions("acme", CONFIDENTIAL)
BROKEN = Failure(3, "DOCUMENT_EMPTY", "There is no text in it.")


async def test_an_accepted_version_is_in_the_catalogue(storage: Any, make: Any) -> None:
    verdict = await storage.catalogue.accept(make.version(1, labels={"team": "tax"}))
    entry = await storage.reader.get(ME, make.key)
    assert verdict.outcome is Outcome.ACCEPTED
    assert (entry.version, entry.state) == (make.id(1), DocumentState.ACCEPTED)
    assert (entry.title, entry.labels, entry.indexed_version) == ("Title 1", {"team": "tax"}, None)


async def test_an_older_version_that_comes_late_is_superseded(storage: Any, make: Any) -> None:
    await storage.catalogue.accept(make.version(2))
    verdict = await storage.catalogue.accept(make.version(1))
    assert (verdict.outcome, verdict.by) == (Outcome.SUPERSEDED, make.id(2))
    assert (await storage.reader.get(ME, make.key)).title == "Title 2"
    assert await storage.reader.get_version_state(ME, make.key, make.id(1)) == VersionState(
        DocumentState.SUPERSEDED, by=make.id(2)
    )


async def test_every_accept_says_what_has_lost_until_that_is_ended(storage: Any, make: Any) -> None:
    await storage.catalogue.accept(make.version(1))
    first = await storage.catalogue.accept(make.version(2))
    assert first.lost == (make.id(1),)
    assert await storage.catalogue.accept(make.version(2)) == first
    await storage.catalogue.end(make.key, first.lost)
    assert (await storage.catalogue.accept(make.version(2))).lost == ()


async def test_a_version_that_was_never_heard_of_has_no_state(storage: Any, make: Any) -> None:
    assert await storage.reader.get_version_state(ME, make.key, make.id(1)) is None
    await storage.catalogue.accept(make.version(1))
    assert await storage.reader.get_version_state(ME, make.key, make.id(2)) is None


async def test_a_late_embedding_after_a_deletion_has_no_effect(
    storage: Any, make: Any, now: Any
) -> None:
    version = make.version(1)
    await storage.catalogue.accept(version)
    await storage.catalogue.delete(make.key, make.id(2), writer_clearance=3, accept_time=now)
    verdict = await storage.indexer.publish(version, storage.index.id, make.passages("late"))
    assert (verdict.outcome, verdict.by) == (Outcome.DELETED, make.id(2))
    assert not await storage.published(make.version(1))
    assert await storage.reader.get(ME, make.key) is None
    assert await storage.reader.get_version_state(ME, make.key, make.id(1)) == VersionState(
        DocumentState.DELETED, by=make.id(2)
    )


async def test_a_deletion_before_its_document_beats_it(storage: Any, make: Any, now: Any) -> None:
    await storage.catalogue.delete(make.key, make.id(5), writer_clearance=3, accept_time=now)
    verdict = await storage.indexer.publish(
        make.version(4), storage.index.id, make.passages("late")
    )
    assert verdict.outcome is Outcome.DELETED
    state = await storage.reader.get_version_state(ME, make.key, make.id(4))
    assert state == VersionState(DocumentState.DELETED, by=make.id(5))


async def test_a_version_after_the_deletion_lives(storage: Any, make: Any, now: Any) -> None:
    await storage.catalogue.accept(make.version(1))
    await storage.catalogue.delete(make.key, make.id(2), writer_clearance=3, accept_time=now)
    assert (await storage.catalogue.accept(make.version(3))).accepted
    assert (await storage.reader.get(ME, make.key)).version == make.id(3)


async def test_a_late_deletion_leaves_a_newer_version_alone(
    storage: Any, make: Any, now: Any
) -> None:
    newer = make.version(3)
    await storage.indexer.publish(newer, storage.index.id, make.passages("newer"))
    await storage.catalogue.delete(make.key, make.id(2), writer_clearance=3, accept_time=now)
    assert await storage.published(newer)
    assert (await storage.reader.get(ME, make.key)).state is DocumentState.INDEXED


async def test_a_deletion_erases_what_described_the_document(
    storage: Any, make: Any, now: Any
) -> None:
    await storage.catalogue.accept(make.version(1, labels={"patient": "n. n."}))
    await storage.catalogue.delete(make.key, make.id(2), writer_clearance=3, accept_time=now)
    async with storage.catalogue._pool.transaction() as connection:
        cursor = await connection.execute("SELECT title, source_uri, labels FROM documents")
        assert await cursor.fetchall() == [("", "", {})]


async def test_indexing_before_cataloguing_gives_the_same_document(storage: Any, make: Any) -> None:
    version = make.version(1)
    await storage.indexer.publish(version, storage.index.id, make.passages("early"))
    assert (await storage.catalogue.accept(version)).accepted
    assert (await storage.reader.get(ME, make.key)).state is DocumentState.INDEXED


async def test_the_former_version_is_found_until_the_newest_is_indexed(
    storage: Any, make: Any
) -> None:
    await storage.indexer.publish(make.version(1), storage.index.id, make.passages("former"))
    await storage.catalogue.accept(make.version(2))
    entry = await storage.reader.get(ME, make.key)
    assert (entry.version, entry.state) == (make.id(2), DocumentState.ACCEPTED)
    assert entry.indexed_version == make.id(1)
    await storage.indexer.publish(make.version(2), storage.index.id, make.passages("newest"))
    found = await storage.retriever.search(ME, storage.index, "former newest", (1, 0, 0), 9)
    assert [passage.text for passage in found] == ["newest"]


async def test_a_failure_is_reported_with_its_reason(storage: Any, make: Any) -> None:
    await storage.catalogue.fail(make.version(1), BROKEN)
    entry = await storage.reader.get(ME, make.key)
    assert (entry.state, entry.failure) == (DocumentState.FAILED, BROKEN)
    assert await storage.reader.get_version_state(ME, make.key, make.id(1)) == VersionState(
        DocumentState.FAILED, failure=BROKEN
    )


async def test_a_failed_version_that_is_indexed_after_all_is_indexed(
    storage: Any, make: Any
) -> None:
    await storage.catalogue.fail(make.version(1), BROKEN)
    await storage.indexer.publish(make.version(1), storage.index.id, make.passages("at last"))
    entry = await storage.reader.get(ME, make.key)
    assert (entry.state, entry.failure) == (DocumentState.INDEXED, None)


async def test_the_failure_of_an_older_version_is_no_news(storage: Any, make: Any) -> None:
    await storage.catalogue.accept(make.version(2))
    assert (await storage.catalogue.fail(make.version(1), BROKEN)).outcome is Outcome.SUPERSEDED
    assert (await storage.reader.get(ME, make.key)).state is DocumentState.ACCEPTED


def tightened(make: Any, at: int, clearance: int = CONFIDENTIAL) -> AccessUpdate:
    return AccessUpdate(
        key=make.key,
        version=make.id(at),
        accept_time=make.version(at).accept_time,
        writer_clearance=clearance,
        visibility=CONFIDENTIAL,
    )


@pytest.mark.parametrize("first", ["update", "version"])
async def test_an_update_after_a_version_holds_in_either_order(
    storage: Any, make: Any, first: str
) -> None:
    writes = [
        storage.catalogue.update(tightened(make, 2)),
        storage.catalogue.accept(make.version(1, labels={"a": "b"})),
    ]
    for write in writes if first == "update" else reversed(writes):
        assert (await write).accepted
    entry = await storage.reader.get(ME, make.key)
    assert (entry.visibility, entry.labels, entry.version) == (3, {"a": "b"}, make.id(1))
    assert entry.revision == make.id(2)


async def test_an_update_before_a_version_yields_to_it(storage: Any, make: Any) -> None:
    await storage.catalogue.accept(make.version(3))
    await storage.catalogue.update(tightened(make, 2))
    assert (await storage.reader.get(ME, make.key)).visibility == PUBLIC


async def test_an_update_alone_is_no_document(storage: Any, make: Any) -> None:
    await storage.catalogue.update(tightened(make, 1))
    assert await storage.reader.get(ME, make.key) is None
    assert await storage.reader.list(ME, "default", 10) == []


async def test_a_writer_cannot_replace_what_it_may_not_read(
    storage: Any, make: Any, now: Any
) -> None:
    secret = make.version(1, visibility=CONFIDENTIAL)
    await storage.indexer.publish(secret, storage.index.id, make.passages("secret"))
    intruder = make.version(2, clearance=INTERNAL)
    refused = await storage.catalogue.accept(intruder)
    assert refused.outcome is Outcome.REFUSED
    assert refused.failure.reason == "CLEARANCE_TOO_LOW"
    published = await storage.indexer.publish(intruder, storage.index.id, make.passages("mine"))
    assert published.outcome is Outcome.REFUSED
    assert (await storage.reader.get(ME, make.key)).version == make.id(1)
    assert await storage.reader.get_version_state(ME, make.key, make.id(2)) == VersionState(
        DocumentState.FAILED, failure=refused.failure
    )
    deletion = await storage.catalogue.delete(
        make.key, make.id(3), writer_clearance=INTERNAL, accept_time=now
    )
    update = await storage.catalogue.update(tightened(make, 4, INTERNAL))
    assert {deletion.outcome, update.outcome} == {Outcome.REFUSED}
    assert await storage.published(make.version(1))


async def test_a_refusal_stays_although_the_document_opened_since(storage: Any, make: Any) -> None:
    await storage.catalogue.accept(make.version(1, visibility=CONFIDENTIAL))
    intruder = make.version(2, clearance=PUBLIC)
    await storage.catalogue.accept(intruder)
    await storage.catalogue.accept(make.version(3, visibility=PUBLIC))
    assert (await storage.catalogue.accept(intruder)).outcome is Outcome.REFUSED


async def test_whoever_looks_a_version_up_learns_that_it_was_replaced_or_refused(
    storage: Any, make: Any
) -> None:
    await storage.catalogue.accept(make.version(2, visibility=CONFIDENTIAL))
    await storage.catalogue.accept(make.version(3, clearance=PUBLIC))
    lost = [await storage.lost(make.version(at)) for at in (1, 2, 3, 4)]
    assert lost == [True, False, True, False]


async def test_whoever_looks_a_version_up_learns_that_it_was_deleted(
    storage: Any, make: Any, now: Any
) -> None:
    await storage.catalogue.delete(make.key, make.id(2), writer_clearance=3, accept_time=now)
    assert [await storage.lost(make.version(at)) for at in (1, 2, 3)] == [True, True, False]


async def test_a_list_goes_through_a_collection_in_pages(storage: Any, make: Any) -> None:
    ids = [f"document-{number}" for number in range(5)]
    for document_id in ids:
        await storage.catalogue.accept(make.version(1, DocumentKey("acme", "default", document_id)))
    await storage.catalogue.accept(make.version(1, DocumentKey("acme", "other", "elsewhere")))
    first = await storage.reader.list(ME, "default", 3)
    rest = await storage.reader.list(ME, "default", 3, after=first[-1].key.document_id)
    assert [entry.key.document_id for entry in [*first, *rest]] == ids


async def test_times_are_those_of_the_log(storage: Any, make: Any, now: datetime) -> None:
    await storage.catalogue.accept(make.version(0))
    await storage.catalogue.accept(make.version(60))
    entry = await storage.reader.get(ME, make.key)
    assert (entry.create_time, entry.update_time) == (now, make.version(60).accept_time)
