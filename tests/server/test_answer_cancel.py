"""A cancel and an answer's end at once: the log decides, and everybody says the same."""

import asyncio
import random
from collections import Counter

import grpc.aio

from forebay.query.v1 import (
    CancelQueryRequest,
    GetQueryRequest,
    Query,
    QueryServiceStub,
    StreamAnswerRequest,
    SubmitQueryRequest,
)
from forebay_kafka.publisher import Publisher
from forebay_kafka.settings import KafkaSettings

from .answering import Attempt, token_of
from .calls import bearer
from .conftest import Installation
from .log import LogReader

ENDS = {"completed": Query.STATE_COMPLETED, "cancelled": Query.STATE_CANCELLED}
ROUNDS = 200
ENOUGH = 5  # of either outcome


async def test_a_cancel_that_races_an_answer_says_what_the_log_decided(
    channel: grpc.aio.Channel, installation: Installation, kafka: KafkaSettings, log: LogReader
) -> None:
    metadata = bearer(installation.token())
    stub = QueryServiceStub(channel)
    chance = random.Random(4)  # noqa: S311 spreads moments, hides nothing
    seen: Counter[int] = Counter()

    async def race(publisher: Publisher) -> int:
        query = await stub.SubmitQuery(SubmitQueryRequest(text="How?"), metadata=metadata)
        attempt = Attempt(publisher, query.name, token_of(log, query.name))
        await attempt.open()
        stream = stub.StreamAnswer(StreamAnswerRequest(name=query.name), metadata=metadata)
        events = aiter(stream)
        assert (await anext(events)).HasField("accepted")

        async def complete() -> None:
            await asyncio.sleep(chance.uniform(0, 0.01))
            await attempt.complete("Nine metres.")

        async def cancel() -> Query:
            await asyncio.sleep(chance.uniform(0, 0.005))
            return await stub.CancelQuery(CancelQueryRequest(name=query.name), metadata=metadata)

        cancelled, _ = await asyncio.gather(cancel(), complete())
        looked_up = await stub.GetQuery(GetQueryRequest(name=query.name), metadata=metadata)
        streamed = [str(event.WhichOneof("event")) async for event in events]
        assert len(streamed) == 1
        assert cancelled.state == looked_up.state == ENDS[streamed[0]]
        assert cancelled.etag == looked_up.etag
        return cancelled.state

    async with Publisher(kafka) as publisher:
        for _ in range(ROUNDS):
            seen[await race(publisher)] += 1
            if min(seen[state] for state in ENDS.values()) >= ENOUGH:
                return
    raise AssertionError(f"one outcome alone: {seen}")


async def test_a_cancel_of_what_has_ended_writes_nothing_and_says_how_it_ended(
    channel: grpc.aio.Channel, installation: Installation, kafka: KafkaSettings, log: LogReader
) -> None:
    metadata = bearer(installation.token())
    stub = QueryServiceStub(channel)
    query = await stub.SubmitQuery(SubmitQueryRequest(text="How?"), metadata=metadata)
    async with Publisher(kafka) as publisher:
        attempt = Attempt(publisher, query.name, token_of(log, query.name))
        await attempt.open()
        await attempt.complete("")
    request = CancelQueryRequest(name=query.name)
    replies = [await stub.CancelQuery(request, metadata=metadata) for _ in range(2)]
    assert [reply.state for reply in replies] == [Query.STATE_COMPLETED] * 2
