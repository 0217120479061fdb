"""What was deleted stays out of the log, whatever comes back afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from forebay.records.v1 import ChunkSet, DocumentRecord, Stage
from forebay_benchmarks.model_server.process import ModelServer
from forebay_kafka.publisher import Publisher
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.stages import group_of
from forebay_standalone.system import System
from forebay_workers.record_loop.retry_topic import RetryTopic

from .conftest import Connect
from .log import LogProbe, log_probe

CHUNKING = Stage.STAGE_CHUNKING


@pytest.fixture
def probe(system: System) -> Iterator[LogProbe]:
    with log_probe(system) as opened:
        yield opened


@pytest.fixture
async def retries(system: System) -> AsyncIterator[RetryTopic]:
    options: dict[str, str | int | bool] = {**system.kafka_login()}
    settings = KafkaSettings(bootstrap_servers=system.addresses.kafka, options=options)
    async with Publisher(settings) as publisher:
        yield RetryTopic(publisher, CHUNKING, group_of(CHUNKING), time.time)


@pytest.mark.over_grpc_alone("the stages are what is tested")
async def test_what_is_cut_after_its_deletion_is_ended_and_never_embedded(
    connect: Connect, models: ModelServer, probe: LogProbe, retries: RetryTopic, tenant: str
) -> None:
    client = connect()
    receipt = await client.ingest("plant", "weir", text="The weir is open.")
    deleted = await client.wait_indexed(receipt.name, receipt.etag)
    key = f"{tenant}/plant/weir@{deleted.etag}"
    source = await asyncio.to_thread(probe.first, DocumentRecord, key)
    await client.delete_document(deleted.name)
    await asyncio.to_thread(probe.wait_ended, ChunkSet, key)
    models.forget_calls()
    await retries.write(source, RuntimeError("not now"), attempts=1, round_=1, delay=0)
    await asyncio.to_thread(probe.wait_ended, ChunkSet, key, contents=2)
    assert models.calls()["embeddings"] == 0
