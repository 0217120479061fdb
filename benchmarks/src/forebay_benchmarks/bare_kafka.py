"""The log without Forebay: the least that a Python process can do with confluent_kafka.

The one module of the benchmarks that imports it; the baselines stand on this. `kafka` is what a
client is given, in librdkafka's words: it signs in as everybody else does.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import confluent_kafka
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from forebay_benchmarks.errors import BenchmarkError

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 10.0
_BATCH = 1_000  # records
_Report = tuple[asyncio.Future[None], confluent_kafka.KafkaError | None]


@dataclass(frozen=True)
class RecordShape:
    """How large a record is, by which a baseline writes records of the same size, in bytes."""

    key: int
    value: int
    headers: tuple[tuple[str, int], ...]

    def headers_to_send(self) -> list[tuple[str, str | bytes | None]]:
        """Headers of these sizes."""
        return [(name, b"h" * size) for name, size in self.headers]


def create_topic(kafka: Mapping[str, str], name: str, *, like: str) -> None:
    """Create a topic with as many partitions as another; one that exists stays as it is."""
    admin = AdminClient({**kafka})
    count = len(admin.list_topics(like, _PATIENCE_SECONDS).topics[like].partitions)
    for created in admin.create_topics([NewTopic(name, count, 1)]).values():
        error = created.exception(_PATIENCE_SECONDS)
        if error is not None and "TOPIC_ALREADY_EXISTS" not in str(error):
            raise BenchmarkError(f"no topic: {error}") from error


def last_record(kafka: Mapping[str, str], topic: str) -> RecordShape:
    """Measure a record that ends a partition of a topic. Raises BenchmarkError."""
    with _consumer(kafka) as consumer:
        ends = _ends(consumer, topic)
        written = [
            confluent_kafka.TopicPartition(topic, partition, end - 1)
            for partition, end in ends.items()
            if end
        ]
        consumer.assign(written)
        message = consumer.poll(_PATIENCE_SECONDS) if written else None
    if message is None or message.error() is not None:
        raise BenchmarkError(f"{topic} holds no record")
    headers = dict(message.headers() or [])
    return RecordShape(
        len(message.key() or b""),
        len(message.value() or b""),
        tuple((name, len(value or b"")) for name, value in headers.items()),
    )


class BareProducer:
    """Idempotent, acks=all; one thread polls, and one wake-up of the loop serves a whole batch."""

    def __init__(self, kafka: Mapping[str, str]) -> None:
        """Connect; belongs to the running loop. `close` stops the thread."""
        self._producer = _producer(kafka)
        self._loop = asyncio.get_running_loop()
        self._reports: deque[_Report] = deque()
        self._due = False
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    async def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        headers: list[tuple[str, str | bytes | None]],
    ) -> None:
        """Write a record and return once it is acknowledged."""
        future: asyncio.Future[None] = self._loop.create_future()

        def reported(error: confluent_kafka.KafkaError | None, _: object) -> None:
            self._report((future, error))

        self._producer.produce(topic, value, key, headers=headers, on_delivery=reported)
        await future

    async def close(self) -> None:
        """Send what is left and stop."""
        await asyncio.to_thread(self._producer.flush, _PATIENCE_SECONDS)
        self._closing.set()
        await asyncio.to_thread(self._thread.join)

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(_POLL_SECONDS)

    def _report(self, report: _Report) -> None:
        with self._lock:
            self._reports.append(report)
            if self._due:
                return
            self._due = True
        self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        with self._lock:
            reports, self._reports = self._reports, deque()
            self._due = False
        for future, error in reports:
            if error is not None:
                future.set_exception(BenchmarkError(f"not written: {error}"))
            elif not future.done():
                future.set_result(None)


class Tail:
    """Reads one topic from its end, in the calling thread."""

    def __init__(self, kafka: Mapping[str, str], topic: str) -> None:
        """Connect and read from here on."""
        self._opened = _consumer(kafka)
        self._consumer = self._opened.__enter__()
        _assign_ends(self._consumer, topic)

    def read(self, seconds: float) -> list[tuple[bytes, bytes]]:
        """Keys and values of what is there, once there is something; nothing after that time."""
        first = self._consumer.poll(seconds)
        if first is None:
            return []
        found = [first, *self._consumer.consume(_BATCH, 0)]
        return [(m.key() or b"", m.value() or b"") for m in found if m.error() is None]

    def close(self) -> None:
        """Leave."""
        self._opened.__exit__(None, None, None)


class Hop:
    """Reads one topic from its end and writes another, both in the calling thread."""

    def __init__(self, kafka: Mapping[str, str], reads: str, writes: str) -> None:
        """Connect and read from here on; `with` closes."""
        self._writes = writes
        self._producer = _producer(kafka)
        self._opened = _consumer(kafka)
        self._consumer = self._opened.__enter__()
        _assign_ends(self._consumer, reads)
        self._consumer.poll(_POLL_SECONDS)  # the first fetch also connects

    def write(self, record: RecordShape, key: bytes) -> None:
        """Write a record of this shape at once."""
        headers = record.headers_to_send()
        self._producer.produce(self._writes, b"v" * record.value, key, headers=headers)
        self._producer.poll(0)

    def read(self, seconds: float) -> bytes | None:
        """The key of the next record; None when there is none in time."""
        message = self._consumer.poll(seconds)
        if message is None or message.error() is not None:
            return None
        return message.key()

    def close(self) -> None:
        """Leave."""
        self._producer.flush(_PATIENCE_SECONDS)
        self._opened.__exit__(None, None, None)


def _producer(kafka: Mapping[str, str]) -> confluent_kafka.Producer:
    return confluent_kafka.Producer({**kafka, "enable.idempotence": True, "linger.ms": 0})


@contextmanager
def _consumer(kafka: Mapping[str, str]) -> Iterator[confluent_kafka.Consumer]:
    consumer = confluent_kafka.Consumer(
        {
            **kafka,
            "group.id": "benchmark",  # required, and without effect: partitions are assigned
            "enable.auto.commit": False,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def _assign_ends(consumer: confluent_kafka.Consumer, topic: str) -> None:
    consumer.assign(
        [
            confluent_kafka.TopicPartition(topic, partition, end)
            for partition, end in _ends(consumer, topic).items()
        ]
    )


def _ends(consumer: confluent_kafka.Consumer, topic: str) -> dict[int, int]:
    partitions = consumer.list_topics(topic, _PATIENCE_SECONDS).topics[topic].partitions
    return {
        number: consumer.get_watermark_offsets(
            confluent_kafka.TopicPartition(topic, number), _PATIENCE_SECONDS
        )[1]
        for number in partitions
    }
