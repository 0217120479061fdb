"""A question whose timeout cannot be met is refused, and no other one."""

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from uuid import uuid4

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from forebay.query.v1 import AskRequest, Query, QueryServiceStub, SubmitQueryRequest
from forebay.records.v1 import AnswerRecord, ContextRecord, QueryRecord, Stage, StageReport
from forebay_kafka.group_lag import LagSnapshot, PartitionLag
from forebay_kafka.group_membership import TopicPartition
from forebay_kafka.publisher import Publisher
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import topic_of
from forebay_server.queries.admission import TAKEOVER_SECONDS, Admission
from forebay_server.queries.queue_history import QueueHistory, QueueSample
from forebay_server.request_ids import RequestIds

from .calls import bearer, details_of, reason_of, status_of
from .conftest import Installation
from .log import LogReader

ANSWER, RETRIEVE_ONLY = SubmitQueryRequest.MODE_ANSWER, SubmitQueryRequest.MODE_RETRIEVE_ONLY
QUERIES, CONTEXTS = topic_of(QueryRecord).name, topic_of(ContextRecord).name
ONE = frozenset({0})


class SimulatedWorker:
    """A worker with slots, that takes some seconds for each record; reports once a second."""

    def __init__(self, slots: int, seconds: float, jitter: float = 0.0) -> None:
        self.history = QueueHistory()
        self.waits: deque[tuple[float, float]] = deque()  # when a record came, and began
        self._slots = slots
        self._seconds = seconds
        self._random = random.Random(4)  # noqa: S311 no secret is made of it
        self._jitter = jitter
        self._running: list[float] = []
        self._waiting: deque[float] = deque()
        self._finished = 0

    def run(
        self, arrivals: Iterable[float], until: float, phase: float = 0.3
    ) -> list[tuple[float, float]]:
        """Work; the times of all reports, and what was to be expected then."""
        coming, expected, now = deque(sorted(arrivals)), [], phase
        while now < until:
            while coming and coming[0] <= now:
                self._advance(coming[0])
                self._waiting.append(coming.popleft())
                self._advance(self._waiting[-1])
            self._advance(now)
            self.history.add(
                QueueSample(now, len(self._waiting), len(self._running), self._finished, ONE)
            )
            expected.append((now, self.history.expected_wait()))
            now += 1.0
        return expected

    def _advance(self, now: float) -> None:
        while self._running and self._running[0] <= now:
            self._begin(heapq.heappop(self._running))
        self._begin(now, finished=False)

    def _begin(self, now: float, *, finished: bool = True) -> None:
        self._finished += finished
        while self._waiting and len(self._running) < self._slots:
            came = self._waiting.popleft()
            self.waits.append((came, max(now, came) - came))
            takes = self._seconds * (1 + self._jitter * self._random.uniform(-1, 1))
            heapq.heappush(self._running, max(now, came) + takes)


def longest(expected: Sequence[tuple[float, float]]) -> float:
    return max(wait for _, wait in expected)


@pytest.mark.parametrize("phase", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("share", [470, 500, 501, 530, 650])
def test_a_burst_for_a_slow_model_with_enough_slots_is_never_refused(
    share: int, phase: float
) -> None:
    worker = SimulatedWorker(slots=500, seconds=8.0, jitter=0.3)
    expected = worker.run([index / 1000 for index in range(share)], until=40, phase=phase)
    assert longest(expected) < 15  # and their timeout is a minute


@pytest.mark.parametrize("seconds", [3.0, 8.0, 15.0, 25.0])
@pytest.mark.parametrize("jitter", [0.0, 0.3, 0.9])
def test_a_burst_that_its_timeout_allows_for_is_never_refused(
    seconds: float, jitter: float
) -> None:
    for extra in range(1, 60, 7):
        worker = SimulatedWorker(slots=50, seconds=seconds, jitter=jitter)
        arrivals = [index / 100 for index in range(50 + extra)]
        expected = worker.run([*arrivals, 30.0, 31.0], until=90)
        assert longest(expected) < 60


def test_a_burst_that_finishes_fast_is_not_refused_while_it_starts() -> None:
    worker = SimulatedWorker(slots=32, seconds=0.1)  # 320 a second
    expected = worker.run([30 + index / 4000 for index in range(2000)], until=60)
    assert longest(expected) < 10


@pytest.mark.parametrize("load", [0.05, 0.5, 0.9])
def test_a_worker_that_keeps_up_makes_nobody_wait_for_a_second(load: float) -> None:
    worker, arrivals = SimulatedWorker(slots=20, seconds=0.5), [0.0]
    chance = random.Random(7)  # noqa: S311 no secret is made of it
    while arrivals[-1] < 600:
        arrivals.append(arrivals[-1] + chance.expovariate(40 * load))
    assert longest(worker.run(arrivals, until=600)) < 1


def test_the_wait_behind_a_minute_of_work_is_about_a_minute() -> None:
    worker = SimulatedWorker(slots=4, seconds=1.0)
    expected = dict(worker.run([index / 1000 for index in range(260)], until=40))
    for now, wait in expected.items():
        left = (260 - 4 * now) / 4
        assert now < 4 or 0.7 * left - 2 < wait < 1.5 * left + 2


def test_a_queue_that_does_not_move_is_waited_for_as_long_as_it_stood() -> None:
    history = QueueHistory()
    waits = []
    for now in range(100):
        history.add(QueueSample(float(now), 40, 10, 7, ONE))
        waits.append(history.expected_wait())
    assert waits[30] >= 30
    assert waits[99] >= 99


def test_a_worker_with_other_partitions_than_before_is_a_new_one() -> None:
    history = QueueHistory()
    for now in range(30):
        history.add(QueueSample(float(now), 400, 4, 4 * now, ONE))
    assert history.expected_wait() > 60
    history.add(QueueSample(30.0, 400, 4, 120, frozenset({0, 1})))
    assert history.expected_wait() == 0


# Of a whole stage, by what its log and its workers say.


class Observed:
    """An edge that hears reports and snapshots, at times that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.admission = Admission(1)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def measure(self, committed: int, end: int, topic: str = CONTEXTS) -> None:
        groups = {f"forebay.{word}": {} for word in ("retrieval", "generation")}
        for group, own in (("forebay.retrieval", QUERIES), ("forebay.generation", CONTEXTS)):
            lag = PartitionLag(committed, end) if own == topic else PartitionLag(0, 0)
            groups[group] = {TopicPartition(own, 0): lag}
        self.admission.measured(LagSnapshot(self.now, groups))

    def report(self, position: int, *, waiting: int = 0, in_flight: int = 0, finished: int) -> None:
        held = StageReport.Partition(
            topic=CONTEXTS, partition=0, position=position, waiting=waiting, in_flight=in_flight
        )
        self.admission.heard(
            StageReport(
                stage=Stage.STAGE_GENERATION, member="m", partitions=[held], finished=finished
            ),
            self.now,
        )

    def wait(self, mode: SubmitQueryRequest.Mode.ValueType = ANSWER) -> float:
        return self.admission.expected_wait("queries/a", mode)


@pytest.fixture
def observed(monkeypatch: pytest.MonkeyPatch) -> Observed:
    return Observed(monkeypatch)


def test_nothing_known_is_no_reason_to_refuse(observed: Observed) -> None:
    assert observed.wait() == 0


def test_records_that_came_after_a_report_do_not_count_as_waiting(observed: Observed) -> None:
    for second in range(60):  # 500 a second, all of them fetched and finished at once
        observed.now = 1000.0 + second
        observed.report(500 * second, in_flight=3, finished=500 * second)
        observed.now += 0.9
        observed.measure(committed=500 * second, end=500 * second + 450)
        assert observed.wait() == 0


def test_what_is_not_fetched_waits(observed: Observed) -> None:
    for second in range(20):
        observed.now = 1000.0 + second
        observed.measure(committed=4 * second, end=1000)
        observed.report(4 * second + 104, waiting=96, in_flight=4, finished=4 * second)
    assert 200 < observed.wait() < 300
    assert observed.wait(RETRIEVE_ONLY) == 0


def test_numbers_that_are_old_refuse_nobody(observed: Observed) -> None:
    for second in range(20):
        observed.now = 1000.0 + second
        observed.measure(committed=0, end=1000)
        observed.report(100, waiting=96, in_flight=4, finished=4 * second)
    assert observed.wait() > 0
    observed.now += 10
    assert observed.wait() == 0


def test_a_stage_without_a_worker_makes_wait_as_long_as_it_is_away(observed: Observed) -> None:
    waits = {}
    for second in range(61):
        observed.now = 1000.0 + second
        observed.measure(committed=10, end=10 if second < 5 else 15)
        waits[second] = observed.wait()
    assert waits[TAKEOVER_SECONDS - 1] == 0
    assert 50 <= waits[60] <= 60


def test_a_worker_that_is_replaced_within_seconds_refuses_nobody(observed: Observed) -> None:
    for second in range(60):
        observed.now = 1000.0 + second
        observed.measure(committed=min(second, 20) * 10, end=(second + 1) * 10)
        if second < 20:
            observed.report(second * 10 + 10, finished=second * 10)
        assert second > 20 + TAKEOVER_SECONDS or observed.wait() == 0


def test_commits_of_a_worker_that_does_not_report_are_waited_for(observed: Observed) -> None:
    for second in range(60):
        observed.now = 1000.0 + second
        observed.measure(committed=second * 10, end=second * 10 + 10)
        assert observed.wait() == 0


# Through an edge, with a log.


@pytest.fixture
async def publisher(kafka: KafkaSettings) -> AsyncIterator[Publisher]:
    async with Publisher(kafka) as open_publisher:
        yield open_publisher


class Overload:
    """Reports of generation workers that are far behind, until it ends."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._member = uuid4().hex

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._report())

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await self._publisher.publish(
            StageReport(
                stage=Stage.STAGE_GENERATION,
                member=self._member,
                state=StageReport.STATE_LEAVING,
            ),
            key=f"generation/{self._member}",
            identity_token=b"",
        )

    async def _report(self) -> None:
        began = time.monotonic()
        while True:
            report = StageReport(
                stage=Stage.STAGE_GENERATION,
                group="forebay.generation",
                member=self._member,
                state=StageReport.STATE_RUNNING,
                finished=int(4 * (time.monotonic() - began)),
                partitions=[
                    StageReport.Partition(topic=CONTEXTS, partition=p, waiting=80, in_flight=1)
                    for p in range(3)
                ],
            )
            report.time.GetCurrentTime()
            await self._publisher.publish(
                report, key=f"generation/{self._member}", identity_token=b""
            )
            await asyncio.sleep(0.5)


def question(seconds: float, request_id: str = "", **fields: object) -> SubmitQueryRequest:
    timeout = Duration()
    timeout.FromMilliseconds(int(seconds * 1000))
    return SubmitQueryRequest(
        text="Which valve?",
        request_id=request_id,
        timeout=timeout,
        **fields,  # type: ignore[arg-type]
    )


async def refused_in_time(stub: QueryServiceStub, metadata: tuple[tuple[str, str], ...]) -> Status:
    async with asyncio.timeout(30):
        while True:
            try:
                await stub.SubmitQuery(question(1), metadata=metadata)
            except grpc.aio.AioRpcError as error:
                return status_of(error)
            await asyncio.sleep(0.2)


async def test_a_question_that_would_come_too_late_is_refused_and_nothing_is_written(
    channel: grpc.aio.Channel, installation: Installation, publisher: Publisher, log: LogReader
) -> None:
    stub, metadata = QueryServiceStub(channel), bearer(installation.token())
    request_id = str(RequestIds().fresh())
    before = await stub.SubmitQuery(question(60, request_id), metadata=metadata)
    async with Overload(publisher):
        status = await refused_in_time(stub, metadata)
        assert (status.code, reason_of(status)) == (8, "PIPELINE_OVERLOADED")
        [info], [retry] = details_of(status, ErrorInfo), details_of(status, RetryInfo)
        assert info.metadata["timeout"] == "1s"
        assert 10 < int(info.metadata["expected_wait"].removesuffix("s")) < 120
        assert 1 <= retry.retry_delay.seconds <= 30

        written = len(log.read(QueryRecord)), len(log.read(AnswerRecord))
        for _ in range(3):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.SubmitQuery(question(1, str(RequestIds().fresh())), metadata=metadata)
            assert reason_of(status_of(refused.value)) == "PIPELINE_OVERLOADED"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await anext(aiter(stub.Ask(AskRequest(query=question(1)), metadata=metadata)))
        assert reason_of(status_of(refused.value)) == "PIPELINE_OVERLOADED"
        assert (len(log.read(QueryRecord)), len(log.read(AnswerRecord))) == written

        # What has time, and what generation has no part in, is taken.
        await stub.SubmitQuery(question(600), metadata=metadata)
        await stub.SubmitQuery(question(1, mode=RETRIEVE_ONLY), metadata=metadata)
        # A retry of what was accepted finds it, and writes nothing.
        written = len(log.read(QueryRecord)), len(log.read(AnswerRecord))
        again = await stub.SubmitQuery(question(1, request_id), metadata=metadata)
        assert (again.name, again.state) == (before.name, Query.STATE_QUEUED)
        assert (len(log.read(QueryRecord)), len(log.read(AnswerRecord))) == written
