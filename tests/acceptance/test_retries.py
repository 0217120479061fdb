import asyncio
from collections import Counter
from hashlib import sha256
from time import time
from uuid import uuid4

from forebay.client.request_id import RequestIds
from forebay.query.v1 import Query
from forebay_benchmarks.model_server.process import ModelServer

from .conftest import Connect

QUESTION = "Who inspects the weir?"
TEXT = "The weir is inspected by the duty engineer, every Monday at seven."


async def test_the_same_request_on_two_edges_is_one_query_and_one_model_call(
    connect: Connect, models: ModelServer, other_edge: str
) -> None:
    first, second = connect(), connect(at=other_edge)
    receipt = await first.ingest("plant", "weir", text=TEXT)
    await first.wait_indexed(receipt.name, receipt.etag)
    models.forget_calls()
    models.behave(first_token_seconds=0.5)
    request_id = str(RequestIds().new())
    queries: list[Query] = await asyncio.gather(
        *(
            client.submit(QUESTION, request_id=request_id)
            for client in (first, second, first, second)
        )
    )
    assert len({query.name for query in queries}) == 1
    answers = await asyncio.gather(
        first.follow(queries[0].name).answer(), second.follow(queries[0].name).answer()
    )
    assert answers[0] == answers[1]
    late = await second.ask(QUESTION, request_id=request_id).answer()
    assert late == answers[0]
    calls = models.calls()
    assert (calls["chat"], calls["embeddings"]) == (1, 1)


async def test_the_same_id_with_another_question_is_another_query(
    connect: Connect, models: ModelServer
) -> None:
    client, request_id = connect(), str(RequestIds().new())
    one = await client.submit(QUESTION, request_id=request_id)
    other = await client.submit(f"{QUESTION} And when?", request_id=request_id)
    slower = await client.submit(QUESTION, request_id=request_id, timeout=30)
    assert one.name != other.name
    assert one.name == slower.name


async def test_the_same_version_on_two_edges_is_one_version_and_each_chunk_is_embedded_once(
    connect: Connect, models: ModelServer, other_edge: str
) -> None:
    clients = (connect(), connect(at=other_edge))
    request_id = str(RequestIds().new())
    texts = {n: f"The text of part {n} is {uuid4().hex}." for n in range(8)}
    text = "\n\n".join(f"# Part {n}\n\n{part}" for n, part in texts.items())
    receipts = await asyncio.gather(
        *(
            client.ingest(
                "plant", "twice", text=text, mime_type="text/markdown", request_id=request_id
            )
            for client in clients * 3
        )
    )
    assert {receipt.etag for receipt in receipts} == {request_id}
    await clients[0].wait_indexed(receipts[0].name, request_id)
    # What the record behind the retries brings is indexed after all of them.
    last = await clients[0].ingest("plant", "twice", text="# Another\n\nVersion.")
    await clients[0].wait_indexed(last.name, last.etag)
    wanted = {sha256(f"Part {n}\n\n{part}".encode()).hexdigest() for n, part in texts.items()}
    embedded = Counter(
        digest
        for call in models.calls()["calls"]
        if call["kind"] == "embeddings"
        for digest in call["sha256"]
    )
    assert {embedded[digest] for digest in wanted} == {1}


async def test_a_late_retry_finds_the_query_as_it_ended_and_writes_nothing(
    connect: Connect, models: ModelServer, other_edge: str
) -> None:
    request_id = RequestIds(lambda: time() - 120).new()
    answer = await connect().ask(QUESTION, request_id=request_id).answer()
    models.forget_calls()
    again = await connect(at=other_edge).submit(QUESTION, request_id=request_id)
    assert (again.name, again.state) == (answer.query, Query.STATE_COMPLETED)
    assert await connect(at=other_edge).ask(QUESTION, request_id=request_id).answer() == answer
    calls = models.calls()
    assert (calls["chat"], calls["embeddings"]) == (0, 0)
