"""Without Postgres the edge accepts everything; answers fail soon and documents wait."""

import asyncio

import pytest

from forebay.client import AsyncClient, QueryFailed, Unavailable
from forebay.errors.v1 import ErrorReason
from forebay_standalone.system import System

from .conftest import in_the_end
from .stand import START_SECONDS

FAILS_WITHIN_SECONDS = 5.0
UNAVAILABLE = ErrorReason.ERROR_REASON_INDEX_UNAVAILABLE


def start(system: System) -> None:
    system.postgres.start()
    system.postgres.wait_ready(START_SECONDS)


async def failure_in_time(client: AsyncClient) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(QueryFailed) as failed:
        await client.ask("Who inspects the weir?").answer()
    assert loop.time() - began < FAILS_WITHIN_SECONDS
    assert (failed.value.code.name, failed.value.reason) == ("UNAVAILABLE", UNAVAILABLE)


async def test_queries_fail_soon_and_documents_are_indexed_when_it_is_back(
    system: System, client: AsyncClient, impatient: AsyncClient
) -> None:
    await asyncio.to_thread(system.postgres.kill)
    receipts = [
        await client.ingest("plant", f"part-{n}", text=f"Part {n} of the weir.") for n in range(5)
    ]
    query = await client.submit("What is accepted?")
    assert query.name
    await failure_in_time(client)
    with pytest.raises(Unavailable) as refused:
        await impatient.get_document(receipts[0].name)
    assert refused.value.reason == UNAVAILABLE
    await asyncio.to_thread(start, system)
    for receipt in receipts:
        await client.wait_indexed(receipt.name, receipt.etag)
    answer = await in_the_end(lambda: client.ask("Which part of the weir?").answer())
    assert len({passage.document for passage in answer.passages}) == 5


async def test_many_queries_at_once_fail_as_soon_as_one(
    system: System, client: AsyncClient
) -> None:
    await asyncio.to_thread(system.postgres.kill)
    await asyncio.gather(*(failure_in_time(client) for _ in range(100)))


async def test_a_frozen_database_is_an_absent_one(system: System, client: AsyncClient) -> None:
    await asyncio.to_thread(system.postgres.suspend)
    try:
        await failure_in_time(client)
    finally:
        await asyncio.to_thread(system.postgres.resume)
    answer = await in_the_end(lambda: client.ask("Who?").answer())
    assert answer.passages == ()
