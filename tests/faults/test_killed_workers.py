"""Workers that are killed in the middle of something: the next one finishes it."""

import asyncio
from collections.abc import Iterator

import pytest

from forebay.client import AsyncClient, NotFound
from forebay.ingest.v1 import Document
from forebay.query.v1 import AnswerEvent, SubmitQueryRequest
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.system import System

from .conftest import START_SECONDS

RETRIEVE = SubmitQueryRequest.MODE_RETRIEVE_ONLY
PARAGRAPHS = 2_000


@pytest.fixture
def workers(system: System) -> Iterator[System]:
    """The system; all its programs run again afterwards."""
    yield system
    for name, program in system.programs.items():
        if not program.alive:
            start(system, name)


def start(system: System, name: str) -> None:
    program = system.programs[name]
    program.start()
    program.wait_ready(START_SECONDS)


async def state_of(client: AsyncClient, name: str, etag: str) -> int:
    """The state of a version once the catalogue knows it."""
    async with asyncio.timeout(30):
        while True:
            try:
                return (await client.get_document(name, etag)).state
            except NotFound:
                await asyncio.sleep(0.02)


async def test_a_worker_killed_in_mid_document_leaves_nothing_of_it_and_the_next_indexes_it(
    workers: System, client: AsyncClient
) -> None:
    text = "\n\n".join(
        f"# Gate {n}\n\nGate {n} of the weir opens at {n} metres." for n in range(PARAGRAPHS)
    )
    receipt = await client.ingest("plant", "gates", text=text, mime_type="text/markdown")
    state = await state_of(client, receipt.name, receipt.etag)
    await asyncio.to_thread(workers.programs["indexing"].kill)
    assert state == Document.STATE_ACCEPTED
    assert (await client.ask("Which gate opens?", mode=RETRIEVE).answer()).passages == ()
    await asyncio.to_thread(start, workers, "indexing")
    await client.wait_indexed(receipt.name, receipt.etag)
    found = await client.ask(f"Gate {PARAGRAPHS - 1}", mode=RETRIEVE).answer()
    assert any(f"Gate {PARAGRAPHS - 1} of" in passage.text for passage in found.passages)


async def test_documents_that_come_while_no_worker_runs_are_all_indexed(
    workers: System, client: AsyncClient
) -> None:
    await asyncio.to_thread(workers.programs["indexing"].kill)
    receipts = [await client.ingest("plant", f"part-{n}", text=f"Part {n}.") for n in range(20)]
    await asyncio.to_thread(start, workers, "indexing")
    for receipt in receipts:
        await client.wait_indexed(receipt.name, receipt.etag)


async def test_an_answer_whose_worker_is_killed_begins_anew_and_is_whole(
    workers: System, client: AsyncClient, models: ModelServer
) -> None:
    receipt = await client.ingest("plant", "weir", text="The weir is inspected by two fitters.")
    await client.wait_indexed(receipt.name, receipt.etag)
    models.behave(answer_tokens=60, tokens_per_second=20)
    restarted: asyncio.Task[None] | None = None
    events: list[AnswerEvent] = []
    async for event in client.ask("Who inspects the weir?"):
        events.append(event)
        if event.HasField("delta") and restarted is None:
            await asyncio.to_thread(workers.programs["answering"].kill)
            models.behave()
            restarted = asyncio.create_task(asyncio.to_thread(start, workers, "answering"))
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


async def test_what_was_answered_before_a_kill_is_not_paid_for_again(
    workers: System, client: AsyncClient, models: ModelServer
) -> None:
    receipt = await client.ingest("plant", "gates", text="The gates are inspected by a diver.")
    await client.wait_indexed(receipt.name, receipt.etag)
    questions = [f"Who inspects gate {n}?" for n in range(10)]
    answers = [await client.ask(question).answer() for question in questions]
    await asyncio.to_thread(workers.programs["answering"].kill)
    assert models.calls()["chat"] == len(questions)
    await asyncio.to_thread(start, workers, "answering")
    # What stands behind them in the log comes after them; the partitions are read side by side.
    await asyncio.gather(*(client.ask(question).answer() for question in questions))
    assert models.calls()["chat"] == 2 * len(questions)
    for answer in answers:
        assert (await client.get_query(answer.query)).answer == answer.text
