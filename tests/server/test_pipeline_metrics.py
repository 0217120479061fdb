"""The private port with figures for Prometheus."""

import asyncio
import socket
from collections.abc import AsyncIterator
from uuid import uuid4

import grpc.aio
import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from forebay.errors.v1 import ErrorReason
from forebay.query.v1 import AskRequest, GetCallerRequest, QueryServiceStub, SubmitQueryRequest
from forebay.records.v1 import ChunkSet, DeadLetter, Stage
from forebay_kafka.failure import status
from forebay_kafka.partitioning import source_key
from forebay_kafka.publisher import Publisher
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.stages import STAGES
from forebay_kafka.topics import topic_of
from forebay_postgres import PostgresSettings
from forebay_server.composition import Configuration, edge
from forebay_server.metrics.endpoint import metrics_endpoint
from forebay_server.port import PortInUse

from .calls import bearer
from .conftest import Installation, free_port

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(port: int) -> Samples:
    async with httpx.AsyncClient() as client:
        shown = await client.get(f"http://127.0.0.1:{port}/metrics", timeout=20)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(shown.text)
        for sample in family.samples
    }


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
async def measured(
    installation: Installation, kafka: KafkaSettings, postgres_nowhere: PostgresSettings, port: int
) -> AsyncIterator[grpc.aio.Channel]:
    settings = installation.settings.model_copy(update={"metrics_address": f"127.0.0.1:{port}"})
    configuration = Configuration(settings, kafka, postgres_nowhere)
    async with edge(configuration, share_port=False) as built:
        served = await built.server.start(built.services, "127.0.0.1:0", None)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{served}") as channel:
            yield channel
        await built.server.drain(0)


def of_method(method: str, **labels: str) -> tuple[tuple[str, str], ...]:
    path = f"/forebay.query.v1.QueryService/{method}"
    return tuple(sorted({"method": path, **labels}.items()))


async def test_calls_are_counted_by_method_and_code_and_streams_while_they_are_open(
    measured: grpc.aio.Channel, installation: Installation, port: int
) -> None:
    stub, metadata = QueryServiceStub(measured), bearer(installation.token())
    for _ in range(3):
        await stub.GetCaller(GetCallerRequest(), metadata=metadata)
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.GetCaller(GetCallerRequest())
    with pytest.raises(grpc.aio.AioRpcError):
        await measured.unary_unary("/somebody/s.own")(b"")
    answer = stub.Ask(AskRequest(query=SubmitQueryRequest(text="?")), metadata=metadata)
    assert await answer.read()
    samples = await scrape(port)
    calls = "forebay_edge_calls_total"
    assert samples[calls, of_method("GetCaller", code="OK")] == 3
    assert samples[calls, of_method("GetCaller", code="UNAUTHENTICATED")] == 1
    assert samples[calls, (("code", "UNIMPLEMENTED"), ("method", "unknown"))] == 1
    assert samples["forebay_edge_call_seconds_count", of_method("GetCaller")] == 4
    assert samples["forebay_edge_open_calls", of_method("Ask")] == 1
    assert samples["forebay_edge_waiting_records", ()] == 0

    answer.cancel()
    async with asyncio.timeout(20):
        while samples["forebay_edge_open_calls", of_method("Ask")]:
            samples = await scrape(port)
    assert samples[calls, of_method("Ask", code="CANCELLED")] == 1


async def test_the_figures_say_what_the_status_says_and_name_no_tenant(
    measured: grpc.aio.Channel, kafka: KafkaSettings, port: int
) -> None:
    tenant, topic = f"tenant-{uuid4().hex}", topic_of(ChunkSet).name
    letter = DeadLetter(
        stage=Stage.STAGE_EMBEDDING,
        group="forebay.embedding",
        topic=topic,
        offset=uuid4().int >> 70,
        error=status(9, ErrorReason.ERROR_REASON_MODEL_UNAVAILABLE, "away"),
        tenant=tenant,
    )
    letter.give_up_time.GetCurrentTime()
    key = source_key(letter.group, letter.topic, letter.partition, letter.offset)
    async with Publisher(kafka) as publisher:
        await publisher.publish(letter, key=key, identity_token=b"-")
    labels = (("reason", "MODEL_UNAVAILABLE"), ("stage", "embedding"))
    async with asyncio.timeout(60):
        while not (samples := await scrape(port)).get(("forebay_dead_letters", labels)):
            pass
    for name in ("lag_records", "oldest_age_seconds", "pending_retries", "workers"):
        stages = {labels[0][1] for of, labels in samples if of == f"forebay_stage_{name}"}
        assert stages == {word for word in STAGES if word != "edge"}
    assert tenant not in str(samples)


async def test_of_several_processes_each_takes_the_next_port() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        first: int = probe.getsockname()[1]
    address = f"127.0.0.1:{first}"
    async with metrics_endpoint(CollectorRegistry(), address, 2):
        async with metrics_endpoint(CollectorRegistry(), address, 2):
            for port in (first, first + 1):
                assert await scrape(port) == {}
            with pytest.raises(PortInUse, match=f"{first}-{first + 1}"):
                await metrics_endpoint(CollectorRegistry(), address, 2).__aenter__()
        # A process that starts again has the port that was given up.
        async with metrics_endpoint(CollectorRegistry(), address, 2):
            assert await scrape(first + 1) == {}
