"""Workers that are killed in the middle of something: the next one finishes it."""

import asyncio

import pytest

from forebay.client import AsyncClient
from forebay.ingest.v1 import Document
from forebay.query.v1 import AnswerEvent, SubmitQueryRequest
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.system import System

from .stand import kill, start

RETRIEVE = SubmitQueryRequest.MODE_RETRIEVE_ONLY
PARAGRAPHS = 800
CALLS = 3  # of 64 texts each: a document in the middle of its embedding


@pytest.mark.slow_faults
async def test_a_worker_killed_in_mid_document_leaves_nothing_of_it_and_the_next_indexes_it(
    system: System, client: AsyncClient, models: ModelServer
) -> None:
    models.behave(kinds=["embeddings"], embedding_seconds=0.2)
    text = "\n\n".join(
        f"# Gate {n}\n\nGate {n} of the weir opens at {n} metres." for n in range(PARAGRAPHS)
    )
    receipt = await client.ingest("plant", "gates", text=text, mime_type="text/markdown")
    async with asyncio.timeout(60):
        while models.calls()["embeddings"] < CALLS:  # noqa: ASYNC110 it tells nobody
            await asyncio.sleep(0.02)
    await kill(system, "embedding")
    models.behave()
    assert (await client.get_document(receipt.name, receipt.etag)).state == Document.STATE_ACCEPTED
    assert (await client.ask("Which gate opens?", mode=RETRIEVE).answer()).passages == ()
    await start(system, "embedding")
    await client.wait_indexed(receipt.name, receipt.etag)
    found = await client.ask(f"Gate {PARAGRAPHS - 1}", mode=RETRIEVE).answer()
    assert any(f"Gate {PARAGRAPHS - 1} of" in passage.text for passage in found.passages)


@pytest.mark.slow_faults
async def test_documents_that_come_while_no_worker_runs_are_all_indexed(
    system: System, client: AsyncClient
) -> None:
    await kill(system, "chunking")
    receipts = [await client.ingest("plant", f"part-{n}", text=f"Part {n}.") for n in range(20)]
    await start(system, "chunking")
    for receipt in receipts:
        await client.wait_indexed(receipt.name, receipt.etag)


async def test_an_answer_whose_worker_is_killed_begins_anew_and_is_whole(
    system: System, client: AsyncClient, models: ModelServer
) -> None:
    receipt = await client.ingest("plant", "weir", text="The weir is inspected by two fitters.")
    await client.wait_indexed(receipt.name, receipt.etag)
    models.behave(answer_tokens=60, tokens_per_second=20)
    restarted: asyncio.Task[None] | None = None
    events: list[AnswerEvent] = []
    async for event in client.ask("Who inspects the weir?"):
        events.append(event)
        if event.HasField("delta") and restarted is None:
            await kill(system, "generation")
            models.behave()
            restarted = asyncio.create_task(start(system, "generation"))
    assert restarted is not None
    await restarted
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds.count("restarted") == 1
    assert kinds.count("completed") == 1
    assert kinds[-1] == "completed"
    begin = kinds.index("restarted")
    assert "".join(event.delta.text for event in events[begin:]) == events[-1].completed.answer
    assert "two fitters" in events[-1].completed.answer
    assert models.calls()["chat"] == 2


@pytest.mark.slow_faults
async def test_what_was_answered_before_a_kill_is_not_paid_for_again(
    system: System, client: AsyncClient, models: ModelServer
) -> None:
    receipt = await client.ingest("plant", "gates", text="The gates are inspected by a diver.")
    await client.wait_indexed(receipt.name, receipt.etag)
    questions = [f"Who inspects gate {n}?" for n in range(10)]
    answers = [await client.ask(question).answer() for question in questions]
    await kill(system, "generation")
    await kill(system, "retrieval")
    assert models.calls()["chat"] == len(questions)
    await start(system, "retrieval")
    await start(system, "generation")
    # What stands behind them in the log comes after them; the partitions are read side by side.
    await asyncio.gather(*(client.ask(question).answer() for question in questions))
    assert models.calls()["chat"] == 2 * len(questions)
    for answer in answers:
        assert (await client.get_query(answer.query)).answer == answer.text
