"""Taking batches out of a consumer, as this package's records."""

from __future__ import annotations

import logging
from collections.abc import Callable

import confluent_kafka

from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings

UNUSED_GROUP = "forebay-unused"  # librdkafka wants a group even where none is used

log = logging.getLogger(__name__)

OnEnd = Callable[[int, int], None]
"""Hears that a partition was read up to an offset, behind which there is nothing yet."""


def poll_batch(
    consumer: confluent_kafka.Consumer, seconds: float, most: int, on_end: OnEnd | None = None
) -> list[Received]:
    """Up to `most` records: the first within `seconds`, and what is there already behind it.

    `consume(n, seconds)` alone waits until n records are there or the time is over; a lone record
    would always be late by all of it. `on_end` needs a consumer that tells of ends.
    """
    return [received(message) for message in poll_messages(consumer, seconds, most, on_end)]


def poll_messages(
    consumer: confluent_kafka.Consumer, seconds: float, most: int, on_end: OnEnd | None = None
) -> list[confluent_kafka.Message]:
    """As `poll_batch`, for who passes most records over: a record takes long to make."""
    first = consumer.poll(seconds)
    if first is None:
        return []
    messages = (first, *consumer.consume(most - 1, 0))
    return [message for message in messages if not _failed(message, on_end)]


def received(message: confluent_kafka.Message) -> Received:
    """A record as this package knows it."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        raise RuntimeError("a consumed record without a position")
    headers = tuple((name, _as_bytes(value)) for name, value in _headers(message))
    key, value = message.key(), message.value()
    return Received(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp_ms=message.timestamp()[1],
        key=None if key is None else _as_bytes(key),
        value=None if value is None else _as_bytes(value),
        headers=headers,
    )


def _headers(message: confluent_kafka.Message) -> list[tuple[str, str | bytes | None]]:
    headers = message.headers() or []
    return list(headers.items()) if isinstance(headers, dict) else headers


def _as_bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


def _failed(message: confluent_kafka.Message, on_end: OnEnd | None) -> bool:
    error = message.error()
    if error is None:
        return False
    if error.code() == confluent_kafka.KafkaError._PARTITION_EOF:  # noqa: SLF001 its public name
        partition, offset = message.partition(), message.offset()
        if on_end is not None and partition is not None and offset is not None:
            on_end(partition, offset)
        return True
    log.warning("the log reports: %s", error.str())
    return True


def reader_options(settings: KafkaSettings, fetch_wait_ms: int) -> dict[str, str | int | bool]:
    """What a consumer is given that reads from offsets of its own choice, without a group.

    A partition that is new to the reader waits for the fetch that is under way, which lasts up to
    `fetch_wait_ms` milliseconds where there is nothing to fetch.
    """
    return {
        **settings.client_options(),
        "group.id": UNUSED_GROUP,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": fetch_wait_ms,
        "queued.max.messages.kbytes": 16_384,
    }
