"""Re-embedding: a second index is built, promoted, rolled back and deleted under readers' eyes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from forebay_postgres import (
    DocumentKey,
    DocumentState,
    Failure,
    IndexLifecycle,
    Permissions,
    open_write_pool,
)
from forebay_postgres.errors import IndexStateConflict, IndexTaken, IndexWithdrawn

ME = Permissions("acme", 3)
NEW = "index-new"


@pytest.fixture
async def lifecycle(storage: Any) -> AsyncIterator[IndexLifecycle]:
    pool = await open_write_pool(storage.settings)
    lifecycle = IndexLifecycle(pool)
    await lifecycle.create(NEW, "longer", 2, "chunking-1")
    try:
        yield lifecycle
    finally:
        await pool.close()


async def publish(storage: Any, make: Any, index_id: str, at: int = 1) -> Any:
    vectors = [(1.0, 0.0)] if index_id == NEW else [(1.0, 0.0, 0.0)]
    passages = make.passages(f"{index_id} {at}", vectors=vectors)
    return await storage.indexer.publish(make.version(at), index_id, passages)


async def test_creating_twice_gives_the_same_index(storage: Any, lifecycle: Any) -> None:
    again = await lifecycle.create(NEW, "longer", 2, "chunking-1")
    assert [index.id for index in await storage.registry.list()] == [storage.index.id, again.id]
    with pytest.raises(IndexTaken, match="longer"):
        await lifecycle.create(NEW, "other", 2, "chunking-1")


async def test_an_index_is_ready_once_it_has_or_lists_every_document(
    storage: Any, lifecycle: Any, make: Any, now: Any
) -> None:
    await publish(storage, make, storage.index.id)
    failed = make.version(1, DocumentKey("acme", "default", "broken"))
    await storage.catalogue.fail(failed, Failure(3, "DOCUMENT_EMPTY", "No text."))
    gone = DocumentKey("acme", "default", "gone")
    await storage.catalogue.accept(make.version(1, gone))
    await storage.catalogue.delete(gone, make.id(2), writer_clearance=3, accept_time=now)
    assert await lifecycle.complete(NEW) == 1
    with pytest.raises(IndexStateConflict, match="BUILDING and cannot be promoted"):
        await lifecycle.promote(NEW)
    await publish(storage, make, NEW)
    assert await lifecycle.complete(NEW) == 0
    await storage.catalogue.accept(make.version(2))
    assert await lifecycle.count_missing(NEW) == 1


async def test_promotion_and_rollback_switch_what_a_question_finds(
    storage: Any, lifecycle: Any, make: Any
) -> None:
    await publish(storage, make, storage.index.id)
    await publish(storage, make, NEW)
    await lifecycle.complete(NEW)
    for serving, vector in ((NEW, (1, 0)), (storage.index.id, (1, 0, 0))):
        await lifecycle.promote(serving)
        index = await storage.retriever.serving_index()
        found = await storage.retriever.search(ME, index, "index", vector, 9)
        assert [passage.text for passage in found] == [f"{serving} 1"]


async def test_of_promotions_at_the_same_time_one_index_serves(
    storage: Any, lifecycle: Any
) -> None:
    await lifecycle.complete(NEW)
    promotions = [NEW, storage.index.id] * 4
    await asyncio.gather(*(lifecycle.promote(index_id) for index_id in promotions))
    states = sorted(index.state for index in await storage.registry.list())
    assert states == ["SERVING", "STANDBY"]


async def test_a_document_is_indexed_only_where_it_serves(
    storage: Any, lifecycle: Any, make: Any
) -> None:
    await lifecycle.complete(NEW)
    await publish(storage, make, storage.index.id)
    assert (await storage.reader.get(ME, make.key)).state is DocumentState.INDEXED
    await lifecycle.promote(NEW)
    assert (await storage.reader.get(ME, make.key)).state is DocumentState.ACCEPTED


async def test_a_rollback_never_brings_a_deleted_document_back(
    storage: Any, lifecycle: Any, make: Any, now: Any
) -> None:
    await publish(storage, make, storage.index.id)
    await publish(storage, make, NEW)
    await lifecycle.complete(NEW)
    await lifecycle.promote(NEW)
    await storage.catalogue.delete(make.key, make.id(2), writer_clearance=3, accept_time=now)
    await lifecycle.promote(storage.index.id)
    assert await storage.retriever.search(ME, storage.index, "index", (1, 0, 0), 9) == []


async def test_a_deleted_index_is_empty_and_takes_nothing(
    storage: Any, lifecycle: Any, make: Any
) -> None:
    await publish(storage, make, NEW)
    await publish(storage, make, storage.index.id)
    await asyncio.gather(lifecycle.delete(NEW), lifecycle.delete(NEW))
    assert not await storage.published(make.version(1), NEW)
    assert await storage.published(make.version(1))
    with pytest.raises(IndexWithdrawn):
        await publish(storage, make, NEW, at=2)
    with pytest.raises(IndexStateConflict):
        await lifecycle.promote(NEW)
    with pytest.raises(IndexStateConflict, match="SERVING and cannot be deleted"):
        await lifecycle.delete(storage.index.id)
    with pytest.raises(IndexWithdrawn, match="unknown"):
        await lifecycle.promote("index-of-nobody")
