"""The idempotent producer: futures on the event loop that say where a record landed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import confluent_kafka
from google.protobuf.message import Message

from forebay_kafka.errors import LogUnavailable, RecordTooLarge
from forebay_kafka.log_time import LogTime
from forebay_kafka.partitioning import partition_for
from forebay_kafka.records import record_type
from forebay_kafka.settings import MAX_RECORD_BYTES, KafkaSettings
from forebay_kafka.topics import (
    IDENTITY_HEADER,
    RECORD_TYPE_HEADER,
    TRACE_PARENT_HEADER,
    TopicSpec,
    topic_of,
)

# What waits for a log that is away, with documents in it: librdkafka's own bound is 1 GiB.
MAX_WAITING_KIB = 256 * 1024
_LOG_APPEND_TIME = confluent_kafka.TIMESTAMP_LOG_APPEND_TIME
# Reports are fetched by the event loop: a thread that polls fights it for the interpreter at each.
# An acknowledgement takes 2 ms and more; where none came for long, the log is away.
PROMPT_SECONDS, PATIENT_SECONDS = 0.001, 0.02
PROMPT_POLLS = 500


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Position:
    """Where the log put a record. `timestamp_ms` counts milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


class Publisher:
    """Writes records and returns once all in-sync replicas have them (KIP-98, acks=all).

    It belongs to the event loop in which it was entered; `async with Publisher(settings) as …`.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.log_time = LogTime()
        """Known from the first record on a topic that the broker dates."""
        self._settings = settings
        self._producer = _producer(settings)
        # Producers that were given up; what they still hold is reported by them.
        self._retired: list[confluent_kafka.Producer] = []
        self._ailing = False
        self._partition_counts: dict[str, int] = {}
        self._waiting: dict[str, list[tuple[asyncio.Future[Any], Callable[[int], None]]]] = {}
        self._counting: dict[str, asyncio.Task[None]] = {}
        self._polling: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()
        self._settled.set()
        self._fruitless_polls = 0

    async def __aenter__(self) -> Self:
        """Begin to take records."""
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Flush what was given; every publish under way ends."""
        # librdkafka looks for records that are over their time once a second.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.delivery_timeout + 2.0):
                await self._settled.wait()
        if self._polling is not None:
            self._polling.cancel()

    def publish(
        self,
        message: Message,
        *,
        key: str,
        partition_key: str | None = None,
        identity_token: bytes,
        trace_parent: bytes | None = None,
    ) -> asyncio.Future[Position]:
        """Write a record to the topic of its type; `partition_key` is the key when not given.

        Records of one partition are written in the order of the calls, whether or not they are
        awaited. An empty identity token says that no caller caused the record. The future raises
        LogUnavailable when the log does not acknowledge within the delivery timeout, and
        RecordTooLarge.
        """
        return self.publish_value(
            topic_of(message),
            message.SerializeToString(),
            key=key,
            partition_key=partition_key,
            identity_token=identity_token,
            trace_parent=trace_parent,
        )

    def publish_value(
        self,
        spec: TopicSpec,
        value: bytes,
        *,
        key: str,
        partition_key: str | None = None,
        identity_token: bytes,
        trace_parent: bytes | None = None,
    ) -> asyncio.Future[Position]:
        """Write a record that is serialised already, as its envelope hashes it."""
        headers: list[tuple[str, str | bytes | None]] = [
            (RECORD_TYPE_HEADER, record_type(spec.record).encode())
        ]
        if identity_token:
            headers.append((IDENTITY_HEADER, identity_token))
        if trace_parent:
            headers.append((TRACE_PARENT_HEADER, trace_parent))
        if len(value) + len(identity_token) > MAX_RECORD_BYTES - 1024:
            return self._refused(_too_large())
        return self._produce(spec, key, partition_key or key, value, headers)

    def tombstone(
        self, record: type[Message], *, key: str, partition_key: str
    ) -> asyncio.Future[Position]:
        """End a key on a compacted topic: a null value without an envelope."""
        return self._produce(topic_of(record), key, partition_key, None, [])

    @property
    def waiting(self) -> int:
        """How many records were given to it and are not acknowledged yet."""
        return sum(len(producer) for producer in (self._producer, *self._retired))

    async def partition_count(self, record: type[Message]) -> int:
        """How many partitions the record's topic has; it never changes."""
        return await self._partition_count(topic_of(record).name)

    def _refused(self, error: RecordTooLarge) -> asyncio.Future[Position]:
        future: asyncio.Future[Position] = self._loop.create_future()
        future.set_exception(error)
        return future

    def _produce(
        self,
        spec: TopicSpec,
        key: str,
        partition_key: str,
        value: bytes | None,
        headers: list[tuple[str, str | bytes | None]],
    ) -> asyncio.Future[Position]:
        future: asyncio.Future[Position] = self._loop.create_future()

        def produce(count: int) -> None:
            producer = self._producer

            def reported(
                error: confluent_kafka.KafkaError | None, landed: confluent_kafka.Message
            ) -> None:
                if producer is self._producer and _breaks_sequence(error):
                    self._ailing = True
                self._report(future, error, landed)

            producer.produce(
                spec.name,
                value=value,
                key=key.encode(),
                partition=partition_for(partition_key, count),
                headers=headers,
                on_delivery=reported,
            )
            if self._polling is None:
                self._poll_in(PROMPT_SECONDS)

        self._once_counted(spec.name, future, produce)
        return future

    async def _partition_count(self, topic: str) -> int:
        counted: asyncio.Future[int] = self._loop.create_future()
        self._once_counted(topic, counted, counted.set_result)
        return await counted

    def _once_counted(
        self, topic: str, future: asyncio.Future[Any], action: Callable[[int], None]
    ) -> None:
        """Run an action with the topic's partition count, in the order of the calls.

        What goes wrong goes to the future.
        """
        known = self._partition_counts.get(topic)
        if known is not None:
            _attempt(future, action, known)
            return
        waiting = self._waiting.setdefault(topic, [])
        waiting.append((future, action))
        if len(waiting) == 1:
            self._counting[topic] = asyncio.ensure_future(self._count(topic))

    async def _count(self, topic: str) -> None:
        try:
            count = await asyncio.to_thread(self._fetch_partition_count, topic)
        except LogUnavailable as error:
            for future, _ in self._waiting.pop(topic):
                if not future.done():
                    future.set_exception(LogUnavailable(str(error)))
            return
        self._partition_counts[topic] = count
        for future, action in self._waiting.pop(topic):
            _attempt(future, action, count)

    def _fetch_partition_count(self, topic: str) -> int:
        try:
            metadata = self._producer.list_topics(topic, self._settings.delivery_timeout)
        except confluent_kafka.KafkaException as error:
            raise LogUnavailable("the log cannot be reached") from error
        count = len(metadata.topics[topic].partitions)
        if metadata.topics[topic].error is not None or not count:
            raise LogUnavailable("the log does not have its topics yet")
        return count

    def _poll(self) -> None:
        """Resolve what was reported, and come again while records are under way."""
        try:
            for producer in (*self._retired, self._producer):
                if producer.poll(0):
                    self._fruitless_polls = 0
            self._retired = [producer for producer in self._retired if len(producer)]
            if self._ailing:
                self._renew()
        finally:
            self._fruitless_polls += 1
            if self.waiting:
                prompt = self._fruitless_polls < PROMPT_POLLS
                self._poll_in(PROMPT_SECONDS if prompt else PATIENT_SECONDS)
            else:
                self._polling = None
                self._settled.set()

    def _poll_in(self, seconds: float) -> None:
        self._settled.clear()
        self._polling = self._loop.call_later(seconds, self._poll)

    def _renew(self) -> None:
        # A record that expired leaves a gap in the producer's sequence (KIP-98). The broker then
        # refuses what comes behind it, and the producer may never find out of that again.
        log.warning("records were not acknowledged; a new producer takes over")
        self._retired.append(self._producer)
        self._producer = _producer(self._settings)
        self._ailing = False

    def _report(
        self,
        future: asyncio.Future[Position],
        error: confluent_kafka.KafkaError | None,
        landed: confluent_kafka.Message,
    ) -> None:
        if error is not None:
            if not future.done():
                future.set_exception(_failure(error))
            return
        position, (kind, time_ms) = _position(landed), landed.timestamp()
        if kind == _LOG_APPEND_TIME:
            self.log_time.heard(time_ms)
        if not future.done():
            future.set_result(position)


def _producer(settings: KafkaSettings) -> confluent_kafka.Producer:
    return confluent_kafka.Producer(
        {
            **settings.client_options(),
            "enable.idempotence": True,
            "delivery.timeout.ms": int(settings.delivery_timeout * 1000),
            "message.max.bytes": MAX_RECORD_BYTES,
            "queue.buffering.max.kbytes": MAX_WAITING_KIB,
            # Records of calls that run side by side share a batch without waiting for it.
            "linger.ms": 0,
        }
    )


def _breaks_sequence(error: confluent_kafka.KafkaError | None) -> bool:
    # A record that is refused for its size never had a place in the sequence.
    return error is not None and error.code() != confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE


def _attempt(future: asyncio.Future[Any], action: Callable[[int], None], count: int) -> None:
    if future.done():  # its caller has gone
        return
    try:
        action(count)
    except BufferError:
        future.set_exception(LogUnavailable("the log takes records more slowly than they come"))
    except confluent_kafka.KafkaException as error:
        future.set_exception(_failure(error.args[0]))
    except Exception as error:  # noqa: BLE001 it is this caller's alone; others may wait behind it
        future.set_exception(error)


def _position(landed: confluent_kafka.Message) -> Position:
    topic, partition, offset = landed.topic(), landed.partition(), landed.offset()
    if topic is None or partition is None or offset is None:
        raise RuntimeError("a delivery report without a position")
    return Position(topic, partition, offset, landed.timestamp()[1])


def _failure(error: confluent_kafka.KafkaError | None) -> LogUnavailable | RecordTooLarge:
    if error is not None and error.code() == confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE:
        return _too_large()
    return LogUnavailable("the log did not acknowledge in time")


def _too_large() -> RecordTooLarge:
    return RecordTooLarge(
        f"the record is over {MAX_RECORD_BYTES} bytes", limit_bytes=str(MAX_RECORD_BYTES)
    )
