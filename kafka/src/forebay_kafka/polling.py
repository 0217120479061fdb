"""Taking batches out of a consumer, as this package's records."""

from __future__ import annotations

import logging

import confluent_kafka

from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings

log = logging.getLogger(__name__)


def poll_batch(consumer: confluent_kafka.Consumer, seconds: float, most: int) -> list[Received]:
    """Up to `most` records: the first within `seconds`, and what is there already behind it.

    `consume(n, seconds)` alone waits until n records are there or the time is over; a lone record
    would always be late by all of it.
    """
    first = consumer.poll(seconds)
    if first is None:
        return []
    return [received(m) for m in (first, *consumer.consume(most - 1, 0)) if not _failed(m)]


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


def _failed(message: confluent_kafka.Message) -> bool:
    error = message.error()
    if error is not None:
        log.warning("the log reports: %s", error.str())
    return error is not None


def reader_options(settings: KafkaSettings, fetch_wait_ms: int) -> dict[str, str | int | bool]:
    """What a consumer is given that reads from offsets of its own choice, without a group.

    A partition that is new to the reader waits for the fetch that is under way, which lasts up to
    `fetch_wait_ms` milliseconds where there is nothing to fetch.
    """
    return {
        **settings.client_options(),
        # librdkafka wants a group even where none is used.
        "group.id": "forebay-unused",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": fetch_wait_ms,
        "queued.max.messages.kbytes": 16_384,
    }
