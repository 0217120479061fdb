"""How many documents of a tenant wait to be indexed, and what it costs to know."""

import time
from typing import Any

import psycopg

from forebay_postgres import (
    DocumentKey,
    Failure,
    IndexLifecycle,
    Permissions,
    open_write_pool,
)

MANY = 100_000
PUBLIC = 1


def key(number: int, tenant: str = "acme") -> DocumentKey:
    return DocumentKey(tenant, "default", f"doc-{number}")


async def test_accepted_documents_wait_until_they_are_indexed_failed_or_deleted(
    storage: Any, make: Any, now: Any
) -> None:
    versions = [make.version(1, key(number)) for number in range(5)]
    for version in versions:
        await storage.catalogue.accept(version)
    assert await storage.reader.count_waiting("acme", 100) == 5
    await storage.indexer.publish(versions[0], storage.index.id, make.passages("text"))
    assert await storage.reader.count_waiting("acme", 100) == 4
    await storage.catalogue.fail(versions[1], Failure(3, "DOCUMENT_EMPTY", "No text."))
    assert await storage.reader.count_waiting("acme", 100) == 3
    await storage.catalogue.delete(key(2), make.id(2), writer_clearance=3, accept_time=now)
    assert await storage.reader.count_waiting("acme", 100) == 2


async def test_a_newer_version_of_an_indexed_or_failed_document_waits_again(
    storage: Any, make: Any
) -> None:
    indexed, failed = make.version(1, key(1)), make.version(1, key(2))
    await storage.catalogue.accept(indexed)
    await storage.catalogue.accept(failed)
    await storage.indexer.publish(indexed, storage.index.id, make.passages("text"))
    await storage.catalogue.fail(failed, Failure(3, "DOCUMENT_EMPTY", "No text."))
    assert await storage.reader.count_waiting("acme", 100) == 0
    for number in (1, 2, 2):
        await storage.catalogue.accept(make.version(2, key(number)))
    assert await storage.reader.count_waiting("acme", 100) == 2


async def test_a_version_that_only_a_building_index_holds_still_waits(
    storage: Any, make: Any
) -> None:
    version = make.version(1)
    await storage.catalogue.accept(version)
    pool = await open_write_pool(storage.settings)
    try:
        building = await IndexLifecycle(pool).create("next", "words-4", 3, "chunking-1")
        await storage.indexer.publish(version, building.id, make.passages("text"))
        assert await storage.reader.count_waiting("acme", 100) == 1
    finally:
        await pool.close()


async def test_confidential_documents_of_other_readers_count_and_other_tenants_do_not(
    storage: Any, make: Any
) -> None:
    secret = make.version(1, key(1), visibility=3, readers=["board"])
    await storage.catalogue.accept(secret)
    await storage.catalogue.accept(make.version(1, key(1, "globex")))
    assert await storage.reader.get(Permissions("acme", PUBLIC), key(1)) is None
    assert await storage.reader.count_waiting("acme", 100) == 1
    assert await storage.reader.count_waiting("initech", 100) == 0


async def test_the_count_stops_at_what_was_asked_for(storage: Any, make: Any) -> None:
    for number in range(4):
        await storage.catalogue.accept(make.version(1, key(number)))
    assert await storage.reader.count_waiting("acme", 3) == 3


async def test_a_hundred_thousand_documents_are_counted_well_within_the_statement_timeout(
    storage: Any,
) -> None:
    with psycopg.connect(storage.settings.admin_dsn.get_secret_value()) as connection:
        connection.execute(
            """INSERT INTO forebay.documents
                   (tenant, collection, document_id, newest_version, visibility)
               SELECT 'acme', 'default', 'd' || g, gen_random_uuid(), 1
               FROM generate_series(1, %s) AS g""",
            (MANY,),
        )
        connection.execute(
            """INSERT INTO forebay.publications
                   (index_id, tenant, collection, document_id, version)
               SELECT %s, tenant, collection, document_id, newest_version
               FROM forebay.documents WHERE document_id NOT LIKE 'd77%%'""",
            (storage.index.id,),
        )
        connection.commit()
        connection.execute("ANALYZE forebay.documents, forebay.publications")
    await storage.reader.count_waiting("acme", MANY)  # the pool connects
    started = time.perf_counter()
    waiting = await storage.reader.count_waiting("acme", MANY)
    seconds = time.perf_counter() - started
    print(f"\ncount_waiting over {MANY} documents: {seconds * 1000:.0f} ms")
    assert waiting == 1_111
    assert seconds < 1
