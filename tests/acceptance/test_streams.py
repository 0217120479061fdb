"""Streams that break, stall, restart or fall silent, and what their readers see."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc.aio
import pytest
from google.rpc.status_pb2 import Status

from forebay.client import AsyncClient, Client, NewDocument, QueryFailed
from forebay.errors.v1 import ErrorReason
from forebay.query.v1 import (
    AnswerEvent,
    AskRequest,
    StreamAnswerRequest,
    SubmitQueryRequest,
)
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.system import Addresses, System

from .conftest import HTTP, START_SECONDS, Connect, Transport
from .fast_answer import write_answer
from .raw_calls import Services, bearer, code_and_reason, status_of

QUESTION = "Who inspects the weir?"
DELTAS = 1_900
DELTA_BYTES = 4 * 1024  # all together are twice what the edge holds for a reader
TERMINAL = {"completed", "failed", "cancelled"}
OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    # A reader that takes nothing is sent nothing: windows that grow by themselves hide that.
    ("grpc.http2.bdp_probe", 0),
)


@pytest.fixture
async def edge(transport: Transport, edge_address: str) -> AsyncIterator[Services]:
    async with transport.open_channel(edge_address, OPTIONS) as channel:
        yield Services(channel)


def token(system: System, tenant: str, expires_in: timedelta = timedelta(minutes=10)) -> str:
    return system.issuer.mint(tenant, "enterprise-user", "enterprise", expires_in=expires_in)


async def indexed_weir(client: AsyncClient) -> None:
    receipt = await client.ingest("plant", "weir", text="The weir is inspected by two fitters.")
    await client.wait_indexed(receipt.name, receipt.etag)


def kind(event: AnswerEvent) -> str:
    return event.WhichOneof("event") or ""


def text_of(events: list[AnswerEvent]) -> str:
    """The deltas of the last attempt, joined."""
    begin = max((i for i, e in enumerate(events) if e.HasField("restarted")), default=0)
    return "".join(event.delta.text for event in events[begin:])


async def test_a_reader_that_stops_reading_is_ended_and_resumes_without_a_gap(
    connect: Connect, models: ModelServer, system: System, tenant: str, edge: Services
) -> None:
    client, metadata = connect(), bearer(token(system, tenant))
    await indexed_weir(client)
    models.behave(hang="before", kinds=["chat"])
    query = (await client.submit(QUESTION)).name
    slow = edge.queries.StreamAnswer(StreamAnswerRequest(name=query), metadata=metadata)
    following = aiter(slow)
    taken = [await anext(following)]
    texts = [f"{n:05} ".ljust(DELTA_BYTES, ".") for n in range(DELTAS)]
    other = asyncio.create_task(all_events(client.follow(query)))
    await write_answer(system, query, (tenant, "enterprise-user"), texts)
    # The other reader is at the end while this one has not gone on.
    whole = await asyncio.wait_for(other, 30)
    ended = await end_of(following, taken)
    assert code_and_reason(ended) == ("RESOURCE_EXHAUSTED", "READER_TOO_SLOW")
    assert len(taken) < len(whole)
    rest = edge.queries.StreamAnswer(
        StreamAnswerRequest(name=query, after_cursor=taken[-1].cursor), metadata=metadata
    )
    resumed = [*taken, *[event async for event in rest]]
    assert [e for e in resumed if kind(e) != "heartbeat"] == whole
    assert text_of(whole) == "".join(texts) == whole[-1].completed.answer


async def end_of(stream: AsyncIterator[AnswerEvent], taken: list[AnswerEvent]) -> Status:
    """Read a stream that must end with an error; its status."""
    try:
        async for event in stream:
            taken.append(event)  # noqa: PERF401 what came before the error counts
    except grpc.aio.AioRpcError as error:
        return status_of(error)
    pytest.fail("the stream ended well")


async def all_events(stream: AsyncIterator[AnswerEvent]) -> list[AnswerEvent]:
    return [event async for event in stream]


@pytest.mark.over_grpc_alone("one of its readers speaks HTTP; restarts take seconds")
@pytest.mark.parametrize("edges", [1, 2])
async def test_a_killed_edge_costs_no_event(
    connect: Connect,
    models: ModelServer,
    system: System,
    second_edge: Addresses,
    tenant: str,
    edges: int,
) -> None:
    """Streams go on with the other edge, or with the same one once it is back."""
    serving = [system.addresses, second_edge][:edges]
    target = "ipv4:" + ",".join(addresses.grpc for addresses in serving)
    client = connect(at=target)
    await indexed_weir(client)
    models.forget_calls()
    models.behave(answer_tokens=60, tokens_per_second=20, kinds=["chat"])
    begun = [asyncio.Event() for _ in range(3)]
    mine = token(system, tenant)
    streams = [
        asyncio.create_task(gathered(client, begun[0])),
        asyncio.create_task(gathered_without_a_loop(target, mine, begun[1])),
        asyncio.create_task(gathered_over_http([each.http for each in serving], mine, begun[2])),
    ]
    await asyncio.gather(*(each.wait() for each in begun))
    await asyncio.to_thread(system.programs["edge"].kill)
    if edges == 1:
        await asyncio.to_thread(start_again, system)
    try:
        for events in await asyncio.gather(*streams):
            assert text_of(events) == events[-1].completed.answer
            sequences = [event.sequence for event in events if event.sequence]
            # The first of an attempt opens it, and is not shown.
            assert sequences == list(range(2, len(sequences) + 2))
            assert [kind(e) for e in events].count("accepted") == 1
    finally:
        if edges > 1:
            await asyncio.to_thread(start_again, system)
    assert models.calls()["chat"] == len(streams)


def start_again(system: System) -> None:
    edge = system.programs["edge"]
    edge.start()
    edge.wait_ready(START_SECONDS)


async def gathered(client: AsyncClient, begun: asyncio.Event) -> list[AnswerEvent]:
    events = []
    async for event in client.ask(f"{QUESTION} Async."):
        events.append(event)
        if event.HasField("delta"):
            begun.set()
    return events


async def gathered_without_a_loop(
    target: str, bearer_token: str, begun: asyncio.Event
) -> list[AnswerEvent]:
    loop = asyncio.get_running_loop()

    def gather() -> list[AnswerEvent]:
        events = []
        with Client(target, bearer_token) as client:
            for event in client.ask(f"{QUESTION} Sync."):
                events.append(event)
                if event.HasField("delta"):
                    loop.call_soon_threadsafe(begun.set)
        return events

    return await asyncio.to_thread(gather)


async def gathered_over_http(
    addresses: list[str], bearer_token: str, begun: asyncio.Event
) -> list[AnswerEvent]:
    """Read an answer and resume it behind its last event, where and when an edge answers."""
    events: list[AnswerEvent] = []
    query = SubmitQueryRequest(text=f"{QUESTION} HTTP.")
    for address in itertools.cycle(addresses):
        async with HTTP.open_channel(address) as channel:
            queries, metadata = Services(channel).queries, bearer(bearer_token)
            call = queries.Ask(AskRequest(query=query), metadata=metadata)
            if events:
                seen = StreamAnswerRequest(name=events[0].query, after_cursor=events[-1].cursor)
                call = queries.StreamAnswer(seen, metadata=metadata)
            try:
                async for event in call:
                    events.append(event)
                    if event.HasField("delta"):
                        begun.set()
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.1)
        if events and kind(events[-1]) in TERMINAL:
            break
    return events


async def test_a_model_that_breaks_off_is_asked_again_and_the_answer_is_whole(
    connect: Connect, models: ModelServer
) -> None:
    client = connect()
    await indexed_weir(client)
    models.forget_calls()
    models.behave(cut_after_chunks=4, tokens_per_second=5, kinds=["chat"])
    events: list[AnswerEvent] = []
    async for event in client.ask(QUESTION):
        events.append(event)
        if event.HasField("delta") and not any(e.HasField("restarted") for e in events):
            models.behave()  # the call that runs keeps its behaviour, the next one is sound
    kinds = [kind(event) for event in events]
    assert kinds.count("restarted") == 1
    assert kinds[-1] == "completed"
    assert text_of(events) == events[-1].completed.answer
    assert "two fitters" in text_of(events)
    outcomes = [call["outcome"] for call in models.calls()["calls"] if call["kind"] == "chat"]
    assert outcomes == ["cut", "completed"]
    before = events[: kinds.index("restarted")]
    assert {e.attempt for e in before} & {e.attempt for e in events[len(before) :]} == set()


async def failed(stream: Any) -> QueryFailed:
    with pytest.raises(QueryFailed) as failure:
        await stream.answer()
    return failure.value


async def test_a_model_that_breaks_off_every_time_is_asked_three_times(
    connect: Connect, models: ModelServer
) -> None:
    client = connect()
    await indexed_weir(client)
    models.forget_calls()
    models.behave(cut_after_chunks=3, kinds=["chat"])
    failure = await failed(client.ask(QUESTION))
    assert failure.reason == ErrorReason.ERROR_REASON_ATTEMPTS_EXHAUSTED
    assert failure.code == grpc.StatusCode.ABORTED
    assert models.calls()["chat"] == 3


@pytest.mark.parametrize("calls", ["chat", "embeddings"])
async def test_a_model_that_refuses_is_asked_once(
    connect: Connect, models: ModelServer, calls: str
) -> None:
    client = connect()
    await indexed_weir(client)
    models.forget_calls()
    models.behave(refuse_status=400, kinds=[calls])
    failure = await failed(client.ask(QUESTION))
    assert failure.reason == ErrorReason.ERROR_REASON_MODEL_REFUSED
    assert failure.code == grpc.StatusCode.FAILED_PRECONDITION
    assert models.calls()[calls] == 1


async def test_a_query_fails_when_its_time_is_over(connect: Connect, models: ModelServer) -> None:
    client = connect()
    await indexed_weir(client)
    models.behave(hang="before", kinds=["chat"])
    loop = asyncio.get_running_loop()
    began = loop.time()
    stream = client.ask(QUESTION, timeout=1)
    failure = await failed(stream)
    assert failure.reason == ErrorReason.ERROR_REASON_QUERY_EXPIRED
    assert failure.code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert 1 <= loop.time() - began < 5  # the worker says so, before the edge's grace is over
    assert (await client.get_query(stream.query)).error.code == failure.code.value[0]


@pytest.mark.over_grpc_alone("takes half a minute; SSE's comments: tests/server/test_http_streams")
@pytest.mark.slow_faults
async def test_a_silent_stream_has_heartbeats_until_a_broken_model_is_given_up(
    connect: Connect, models: ModelServer, system: System, tenant: str, edge: Services
) -> None:
    """Takes the half minute that a failing model is given."""
    await indexed_weir(connect())
    models.forget_calls()
    models.behave(error_probability=1, kinds=["chat"])
    ask = AskRequest(query=SubmitQueryRequest(text=QUESTION))
    events = [
        event async for event in edge.queries.Ask(ask, metadata=bearer(token(system, tenant)))
    ]
    kinds = [kind(event) for event in events]
    assert kinds[-1] == "failed"
    status = events[-1].failed.error
    assert code_and_reason(status) == ("UNAVAILABLE", "MODEL_UNAVAILABLE")
    beats = [event for event in events if event.HasField("heartbeat")]
    assert beats
    assert all(not beat.cursor and not beat.sequence for beat in beats)
    assert "restarted" not in kinds  # the model had said nothing that had to be taken back
    assert models.calls()["chat"] > 3


async def test_a_stream_ends_with_its_token(
    connect: Connect, models: ModelServer, system: System, tenant: str, edge: Services
) -> None:
    await indexed_weir(connect())
    models.behave(first_token_seconds=5, kinds=["chat"])
    metadata = bearer(token(system, tenant, timedelta(seconds=2)))
    ask = AskRequest(query=SubmitQueryRequest(text=QUESTION))
    events: list[AnswerEvent] = []
    ended = await end_of(aiter(edge.queries.Ask(ask, metadata=metadata)), events)
    assert code_and_reason(ended) == ("UNAUTHENTICATED", "TOKEN_EXPIRED")
    assert kind(events[0]) == "accepted"
    assert not TERMINAL & {kind(event) for event in events}


async def test_a_client_that_can_renew_its_token_outlives_it(
    connect: Connect, models: ModelServer, system: System, tenant: str, edge_address: str
) -> None:
    await indexed_weir(connect())
    models.forget_calls()
    models.behave(first_token_seconds=2, answer_tokens=40, tokens_per_second=20, kinds=["chat"])
    given: list[str] = []

    def renew() -> str:
        given.append(token(system, tenant, timedelta(seconds=2)))
        return given[-1]

    async with AsyncClient(edge_address, renew) as client:
        events = await all_events(client.ask(QUESTION))
    assert text_of(events) == events[-1].completed.answer
    assert len(given) >= 2
    assert models.calls()["chat"] == 1


async def test_documents_that_come_slower_than_tokens_end_all_arrive(
    system: System, tenant: str
) -> None:
    """The edge ends a silent stream with its token; the next document goes on another one."""
    given: list[str] = []

    def renew() -> str:
        given.append(token(system, tenant, timedelta(seconds=2)))
        return given[-1]

    async def slowly() -> AsyncIterator[NewDocument]:
        for number in range(2):
            yield NewDocument("plant", f"weir-{number}", text="The weir is open.")
            await asyncio.sleep(3 * (1 - number))  # there is no event: what passes is the token

    async with AsyncClient(system.addresses.grpc, renew) as client:
        outcomes = [each async for each in client.ingest_many(slowly())]
    assert [each.error for each in outcomes] == [None, None]
    assert len(given) >= 2
