"""A reader that takes nothing is let go, and may resume at its cursor."""

import asyncio
from collections.abc import AsyncIterator

import grpc.aio
import pytest

from forebay.query.v1 import (
    AnswerEvent,
    AskRequest,
    GetCallerRequest,
    QueryServiceStub,
    StreamAnswerRequest,
    SubmitQueryRequest,
)
from forebay_kafka.publisher import Publisher
from forebay_kafka.settings import KafkaSettings
from forebay_postgres import PostgresSettings
from forebay_server.answers.errors import ReaderTooSlow

from .answering import Attempt, edge_address, token_of
from .calls import bearer, reason_of, status_of
from .conftest import Installation
from .log import LogReader

WORDS = "x" * 50_000
# Without probing for bandwidth a stream's window stays at 64 KiB, as on a slow line.
SLOW_LINE = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536))


def announcing(raised: asyncio.Event) -> type[ReaderTooSlow]:
    """The error, which also says that it was made."""

    class Announced(ReaderTooSlow):
        def __init__(self) -> None:
            super().__init__()
            raised.set()

    return Announced


@pytest.fixture
def let_go() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def address(
    installation: Installation,
    kafka: KafkaSettings,
    postgres_nowhere: PostgresSettings,
    let_go: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[str]:
    monkeypatch.setattr("forebay_server.rpc.handlers.SEND_SECONDS", 0.5)
    monkeypatch.setattr("forebay_server.rpc.handlers.ReaderTooSlow", announcing(let_go))
    async with edge_address(installation, kafka, postgres_nowhere) as at:
        yield at


async def all_of(
    events: AsyncIterator[AnswerEvent],
) -> tuple[list[AnswerEvent], grpc.aio.AioRpcError]:
    """What is still read of a call, and the error that ends it."""
    taken = []
    try:
        async for event in events:
            taken.append(event)  # noqa: PERF401 a comprehension would lose them
    except grpc.aio.AioRpcError as error:
        return taken, error
    raise AssertionError("the call ended well")


async def test_a_reader_that_never_reads_is_let_go_and_resumes_at_its_cursor(
    address: str,
    installation: Installation,
    kafka: KafkaSettings,
    log: LogReader,
    let_go: asyncio.Event,
) -> None:
    metadata = bearer(installation.token())
    async with (
        Publisher(kafka) as publisher,
        grpc.aio.insecure_channel(address, options=SLOW_LINE) as channel,
    ):
        stub = QueryServiceStub(channel)
        asked = stub.Ask(AskRequest(query=SubmitQueryRequest(text="How?")), metadata=metadata)
        events = aiter(asked)
        first = await anext(events)
        attempt = Attempt(publisher, first.query, token_of(log, first.query))
        await attempt.open()
        await asyncio.gather(*(attempt.delta(WORDS) for _ in range(40)))
        await attempt.complete(WORDS * 40)
        async with asyncio.timeout(20):
            await let_go.wait()
        taken, refused = await all_of(events)
        status = status_of(refused)
        assert (status.code, reason_of(status)) == (8, "READER_TOO_SLOW")
        assert len(taken) < 40
        rest = [
            event
            async for event in stub.StreamAnswer(
                StreamAnswerRequest(name=first.query, after_cursor=(taken or [first])[-1].cursor),
                metadata=metadata,
            )
        ]
        assert len(taken) + len(rest) == 41
        assert rest[-1].HasField("completed")


async def test_a_reader_that_waits_for_an_answer_is_not_slow(
    address: str, installation: Installation, kafka: KafkaSettings, log: LogReader
) -> None:
    metadata = bearer(installation.token())
    async with Publisher(kafka) as publisher, grpc.aio.insecure_channel(address) as channel:
        stub = QueryServiceStub(channel)
        asked = stub.Ask(AskRequest(query=SubmitQueryRequest(text="How?")), metadata=metadata)
        events = aiter(asked)
        first = await anext(events)
        attempt = Attempt(publisher, first.query, token_of(log, first.query))
        await attempt.open()
        # Longer than the time to send; other calls are served meanwhile.
        async with asyncio.timeout(20):
            for _ in range(3):
                await stub.GetCaller(GetCallerRequest(), metadata=metadata)
                await asyncio.sleep(0.3)
        await attempt.complete("")
        assert [event.WhichOneof("event") async for event in events] == ["completed"]
