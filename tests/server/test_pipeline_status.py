"""The status of the pipeline, from what workers report and what a real log holds."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any
from uuid import uuid4

import confluent_kafka
import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from forebay.pipeline.v1 import (
    GetPipelineStatusRequest,
    PipelineServiceStub,
    PipelineStatus,
    StageStatus,
    WatchPipelineRequest,
)
from forebay.records.v1 import (
    ChunkSet,
    ContextRecord,
    DocumentRecord,
    RetryRecord,
    Stage,
    StageReport,
)
from forebay_kafka.publisher import Publisher
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topic_admin import TopicAdmin
from forebay_kafka.topic_plan import TopicSettings
from forebay_kafka.topics import topic_of
from forebay_postgres import PostgresSettings
from forebay_server.composition import Configuration, edge
from forebay_standalone.broker import KafkaBroker
from forebay_standalone.ports import free_port

from .calls import bearer, reason_of, status_of
from .conftest import Installation

Metadata = tuple[tuple[str, str], ...]
WORDS = ["cataloguing", "chunking", "embedding", "retrieval", "generation", "auditing"]
CONTEXTS, CHUNKS = topic_of(ContextRecord).name, topic_of(ChunkSet).name
RETRIES = topic_of(RetryRecord).name


@pytest.fixture
async def publisher(kafka: KafkaSettings) -> AsyncIterator[Publisher]:
    async with Publisher(kafka) as open_publisher:
        yield open_publisher


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> PipelineServiceStub:
    return PipelineServiceStub(channel)


@pytest.fixture
def operator(installation: Installation) -> Metadata:
    return bearer(installation.token(scope="operate"))


class Reporter:
    """A worker that says of itself what a test wants."""

    def __init__(self, publisher: Publisher, stage: Stage.ValueType) -> None:
        self.member = uuid4().hex
        self._publisher = publisher
        self._stage = stage
        self._word = Stage.Name(stage).removeprefix("STAGE_").lower()

    async def say(
        self,
        *partitions: StageReport.Partition,
        state: StageReport.State.ValueType = StageReport.STATE_RUNNING,
        at: float | None = None,
        **counts: int,
    ) -> None:
        report = StageReport(
            stage=self._stage,
            group=f"forebay.{self._word}",
            member=self.member,
            state=state,
            partitions=partitions,
            **counts,  # type: ignore[arg-type]
        )
        report.time.FromNanoseconds(int((at or time.time()) * 1e9))
        key = f"{self._word}/{self.member}"
        await self._publisher.publish(report, key=key, identity_token=b"")

    async def leave(self) -> None:
        await self.say(state=StageReport.STATE_LEAVING)


async def stage_of(stub: PipelineServiceStub, metadata: Metadata, word: str) -> StageStatus:
    request = GetPipelineStatusRequest()
    status = await stub.GetPipelineStatus(request, metadata=metadata, timeout=20)
    return next(each for each in status.stages if each.stage == word)


async def until(
    stub: PipelineServiceStub,
    metadata: Metadata,
    word: str,
    fits: Callable[[StageStatus], bool],
) -> StageStatus:
    last: StageStatus | str = ""
    try:
        async with asyncio.timeout(90):
            while True:
                try:
                    last = await stage_of(stub, metadata, word)
                except grpc.aio.AioRpcError as error:
                    # A new broker makes its own topics first, and one that was killed elects.
                    last = reason_of(status_of(error))
                if isinstance(last, StageStatus) and fits(last):
                    return last
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"it stays so: {last}") from None


async def read_all(call: Any) -> None:
    while await call.read():
        pass


async def write_contexts(publisher: Publisher, count: int) -> list[int]:
    record = ContextRecord(name="queries/status")
    calls = [
        publisher.publish(record, key=f"queries/{uuid4().hex}", identity_token=b"-")
        for _ in range(count)
    ]
    return [landed.timestamp_ms for landed in await asyncio.gather(*calls)]


async def commit_all(kafka: KafkaSettings, group: str, topic: str) -> dict[int, int]:
    """Commit the ends of a topic; what they are."""

    def commit() -> dict[int, int]:
        consumer = confluent_kafka.Consumer({**kafka.client_options(), "group.id": group})
        ends = {
            partition: consumer.get_watermark_offsets(
                confluent_kafka.TopicPartition(topic, partition), 10
            )[1]
            for partition in consumer.list_topics(topic, 10).topics[topic].partitions
        }
        places = [confluent_kafka.TopicPartition(topic, p, end) for p, end in ends.items()]
        consumer.commit(offsets=places, asynchronous=False)
        consumer.close()
        return ends

    return await asyncio.to_thread(commit)


async def test_a_stage_that_nobody_runs_is_absent_and_its_lag_has_an_age(
    kafka: KafkaSettings, publisher: Publisher, stub: PipelineServiceStub, operator: Metadata
) -> None:
    await until(stub, operator, "generation", lambda s: s.lag >= 0)
    request = GetPipelineStatusRequest()
    found = await stub.GetPipelineStatus(request, metadata=operator)
    assert [stage.stage for stage in found.stages] == WORDS
    assert abs(found.time.ToNanoseconds() / 1e9 - time.time()) < 10

    await commit_all(kafka, "forebay.generation", CONTEXTS)
    stage = await until(stub, operator, "generation", lambda s: s.lag == 0)
    assert (stage.state, stage.workers) == (StageStatus.STATE_ABSENT, 0)
    assert not stage.HasField("oldest_age")

    written = await write_contexts(publisher, 9)
    stage = await until(stub, operator, "generation", lambda s: s.lag == 9)
    age = stage.oldest_age.ToNanoseconds() / 1e9
    assert abs(time.time() - min(written) / 1000 - age) < 2


async def test_workers_add_up_and_the_worst_of_them_tells_the_state(
    publisher: Publisher, stub: PipelineServiceStub, operator: Metadata
) -> None:
    one, other = (Reporter(publisher, Stage.STAGE_EMBEDDING) for _ in range(2))
    began = time.time() - 8
    for second in range(9):
        await one.say(
            StageReport.Partition(topic=CHUNKS, partition=0, in_flight=3),
            at=began + second,
            finished=1000 + 40 * second,
            retried=2,
        )
        await other.say(
            StageReport.Partition(topic=CHUNKS, partition=1, in_flight=4),
            at=began + second - 60,  # its clock is off by a minute
            finished=10 * second,
            retried=5,
            state=StageReport.STATE_THROTTLED,
        )
    stage = await until(stub, operator, "embedding", lambda s: s.workers == 2 and s.rate > 49)
    assert stage.rate == pytest.approx(50)
    assert (stage.in_flight, stage.retry_count) == (7, 7)
    assert stage.state == StageStatus.STATE_THROTTLED
    await one.say(state=StageReport.STATE_HALTED)
    await until(stub, operator, "embedding", lambda s: s.state == StageStatus.STATE_HALTED)
    await one.leave()
    stage = await until(stub, operator, "embedding", lambda s: s.workers == 1)
    assert stage.state == StageStatus.STATE_THROTTLED
    # The other one is not heard of any more.
    await until(stub, operator, "embedding", lambda s: s.state == StageStatus.STATE_ABSENT)


async def test_the_age_is_that_of_the_oldest_record_that_a_worker_has_not_finished(
    kafka: KafkaSettings, publisher: Publisher, stub: PipelineServiceStub, operator: Metadata
) -> None:
    ends = await commit_all(kafka, "forebay.generation", CONTEXTS)
    await write_contexts(publisher, 30)
    reporter = Reporter(publisher, Stage.STAGE_GENERATION)
    partitions = []
    for partition, end in ends.items():
        said = StageReport.Partition(
            topic=CONTEXTS, partition=partition, position=end + 30, in_flight=1
        )
        said.oldest_time.FromNanoseconds(int((time.time() - 100 - partition) * 1e9))
        partitions.append(said)
    await reporter.say(*partitions)
    stage = await until(stub, operator, "generation", lambda s: s.workers == 1 and s.lag == 30)
    assert 101 < stage.oldest_age.ToNanoseconds() / 1e9 < 115
    await reporter.leave()


async def test_records_that_wait_to_be_tried_again_are_pending_and_lag(
    kafka: KafkaSettings, publisher: Publisher, stub: PipelineServiceStub, operator: Metadata
) -> None:
    for topic in (topic_of(DocumentRecord).name, RETRIES):
        await commit_all(kafka, "forebay.chunking", topic)
    await until(stub, operator, "chunking", lambda s: not s.lag and not s.pending_retries)
    for turn in range(4):
        retry = RetryRecord(stage=Stage.STAGE_CHUNKING, group="forebay.chunking")
        await publisher.publish(retry, key=f"g/t/0/{turn}", identity_token=b"-")
    stage = await until(stub, operator, "chunking", lambda s: s.pending_retries == 4)
    assert stage.lag == 4

    # A worker that has looked at them knows how many are its own.
    ends = await commit_all(kafka, "forebay.none", RETRIES)
    reporter = Reporter(publisher, Stage.STAGE_CHUNKING)
    await reporter.say(
        *(
            StageReport.Partition(topic=RETRIES, partition=p, position=end, waiting=int(p == 0))
            for p, end in ends.items()
        )
    )
    stage = await until(stub, operator, "chunking", lambda s: s.pending_retries == 1)
    assert stage.lag == 1
    await reporter.leave()


async def test_a_watch_goes_on_at_its_interval_until_the_caller_ends_it(
    stub: PipelineServiceStub, operator: Metadata
) -> None:
    request = WatchPipelineRequest(interval=Duration(seconds=1))
    call = stub.WatchPipeline(request, metadata=operator)
    times = []
    async for status in call:
        assert isinstance(status, PipelineStatus)
        times.append(status.time.ToMilliseconds())
        if len(times) == 3:
            break
    call.cancel()
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(500 < gap < 8_000 for gap in gaps)


async def test_a_watch_ends_with_the_token(
    stub: PipelineServiceStub, installation: Installation
) -> None:
    now = int(time.time())
    # Clocks are forgiven half a minute: this token has ten seconds left.
    metadata = bearer(installation.token(scope="operate", iat=now - 100, exp=now - 20))
    watch = stub.WatchPipeline(WatchPipelineRequest(), metadata=metadata, timeout=90)
    assert await watch.read()
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await read_all(watch)
    assert reason_of(status_of(ended.value)) == "TOKEN_EXPIRED"


async def test_every_process_of_the_edge_says_the_same(
    kafka: KafkaSettings,
    publisher: Publisher,
    installation: Installation,
    operator: Metadata,
    postgres_nowhere: PostgresSettings,
    stub: PipelineServiceStub,
) -> None:
    reporter = Reporter(publisher, Stage.STAGE_CATALOGUING)
    await reporter.say(finished=5, retried=3)
    await until(stub, operator, "cataloguing", lambda s: s.retry_count == 3)
    configuration = Configuration(installation.settings, kafka, postgres_nowhere)
    async with edge(configuration, share_port=False) as built:
        port = await built.server.start(built.services, "127.0.0.1:0", None)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            # One that has just started reads what was said a moment ago.
            await reporter.say(finished=5, retried=3)
            late = PipelineServiceStub(channel)
            there = await until(late, operator, "cataloguing", lambda s: s.workers == 1)
        await built.server.drain(0)
    here = await stage_of(stub, operator, "cataloguing")
    for each in (here, there):
        each.ClearField("oldest_age")
    assert here == there
    await reporter.leave()


@pytest.mark.slow_faults
async def test_without_the_log_the_status_is_refused_within_the_deadline_and_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    installation: Installation,
    operator: Metadata,
    postgres_nowhere: PostgresSettings,
) -> None:

    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"), free_port())
    await asyncio.to_thread(broker.start)
    try:
        await asyncio.to_thread(broker.wait_ready)
        settings = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers, options={"log_level": 0}
        )
        await asyncio.to_thread(TopicAdmin(settings, TopicSettings(query_partitions=1)).apply)
        configuration = Configuration(installation.settings, settings, postgres_nowhere)
        async with edge(configuration, share_port=False) as built:
            port = await built.server.start(built.services, "127.0.0.1:0", None)
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = PipelineServiceStub(channel)
                await until(stub, operator, "retrieval", lambda s: s.lag == 0)
                watch = stub.WatchPipeline(WatchPipelineRequest(), metadata=operator)
                assert await watch.read()
                await asyncio.to_thread(broker.kill)
                with pytest.raises(grpc.aio.AioRpcError) as ended:
                    await read_all(watch)
                assert reason_of(status_of(ended.value)) == "LOG_UNAVAILABLE"
                began, request = time.monotonic(), GetPipelineStatusRequest()
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await stub.GetPipelineStatus(request, metadata=operator, timeout=2)
                status = status_of(refused.value)
                assert (status.code, reason_of(status)) == (14, "LOG_UNAVAILABLE")
                assert time.monotonic() - began < 3
                await asyncio.to_thread(broker.start)
                await asyncio.to_thread(broker.wait_ready)
                await until(stub, operator, "retrieval", lambda s: s.lag == 0)
            await built.server.drain(0)
    finally:
        await asyncio.to_thread(broker.stop)
