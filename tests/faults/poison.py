"""Records that no stage can do anything with, of every kind and for every topic."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import confluent_kafka

from forebay.records.v1 import Topic
from forebay_kafka.records import CAUSES, Received
from forebay_kafka.settings import MAX_RECORD_BYTES
from forebay_kafka.topics import IDENTITY_HEADER, RECORD_TYPE_HEADER, TOPICS, TopicSpec
from forebay_standalone.system import System

from .forgers import Forgers, token_of

SEND_SECONDS = 20.0
LARGE = b"\xff" * (MAX_RECORD_BYTES - 4096)  # what the log still takes
UNKNOWN_TYPE = b"forebay.records.v2.Unheard"


@dataclass(frozen=True)
class Poison:
    """One bad record; `good` is what it was made of, or None where it is nothing but bad."""

    kind: str
    spec: TopicSpec
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def poison_for(spec: TopicSpec, good: Received) -> Iterator[Poison]:
    """Every kind that is wrong by itself, made from a record that is in order."""
    whole = whole_of(spec, good)
    value = good.value or b""
    yield replace(whole, kind="truncated", value=value[: len(value) // 2] + b"\xff")
    yield replace(whole, kind="empty", value=b"")
    yield replace(whole, kind="noise", value=bytes(range(256)))
    yield replace(whole, kind="too large", value=LARGE)
    yield replace(whole, kind="without headers", headers=())
    yield replace(whole, kind="of an unknown version", headers=_typed(good, UNKNOWN_TYPE))
    yield replace(whole, kind="of another type", headers=_typed(good, _another(spec)))
    yield replace(whole, kind="without identity", headers=_without(good, IDENTITY_HEADER))
    if spec.cleanup == Topic.CLEANUP_DELETE:
        yield replace(whole, kind="without a key", key=None)
        yield replace(whole, kind="without a value", value=None)
        yield replace(whole, kind="without anything", key=None, value=None, headers=())
    else:
        yield replace(whole, kind="with the key of another", key=b"somebody/else")
        yield replace(whole, kind="a tombstone of nothing", key=b"/\xff@", value=None, headers=())


def forgeries_of(
    spec: TopicSpec, good: Received, other: Received, forgers: Forgers
) -> Iterator[Poison]:
    """Every kind of envelope that is not the record's; `other` is another one of its topic."""
    whole = whole_of(spec, good)
    bare, token = _without(good, IDENTITY_HEADER), (IDENTITY_HEADER, token_of(good))
    for kind, forged in forgers.forged(good).items():
        yield replace(whole, kind=kind, headers=(*bare, (IDENTITY_HEADER, forged)))
    yield replace(whole, kind="with its envelope twice", headers=(*bare, token, token))
    strange = (IDENTITY_HEADER, token_of(other))
    yield replace(whole, kind="with the envelope of another", headers=(*bare, strange))
    yield replace(whole, kind="with another's envelope too", headers=(*bare, token, strange))
    yield replace(whole, kind="under the key of another", key=other.key)
    yield replace(whole, kind="with the value of another", value=other.value)


def copies_of(good: Received, to: TopicSpec) -> Iterator[Poison]:
    """A good record on a topic that it was not written for, as it is and as if it belonged."""
    whole = whole_of(to, replace(good, partition=0))
    yield replace(whole, kind=f"copied from {good.topic}")
    own_type = _typed(good, to.record.DESCRIPTOR.full_name.encode())
    if to.record not in CAUSES:  # its envelope covers the value
        yield replace(whole, kind=f"of {good.topic} in disguise", headers=own_type)


def whole_of(spec: TopicSpec, good: Received) -> Poison:
    """The record as it is, not poison yet."""
    return Poison("", spec, good.partition, good.key, good.value, good.headers)


def is_tombstone(poison: Poison) -> bool:
    """Whether it ends a key, which is legal on this topic whatever the key is."""
    return poison.value is None and poison.spec.compacted


def send(system: System, poisons: Sequence[Poison]) -> None:
    """Put records into the log as whoever holds a producer could; all are acknowledged."""
    failed: list[confluent_kafka.KafkaError] = []
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": system.addresses.kafka,
            "message.max.bytes": MAX_RECORD_BYTES,
            **system.kafka_login(),
        }
    )
    for poison in poisons:
        producer.produce(
            poison.spec.name,
            key=poison.key,
            value=poison.value,
            partition=poison.partition,
            headers=list(poison.headers),
            on_delivery=lambda error, _: failed.append(error) if error else None,
        )
    assert producer.flush(SEND_SECONDS) == 0
    assert not failed, failed[0].str()


def _typed(good: Received, name: bytes) -> tuple[tuple[str, bytes], ...]:
    return (*_without(good, RECORD_TYPE_HEADER), (RECORD_TYPE_HEADER, name))


def _without(good: Received, name: str) -> tuple[tuple[str, bytes], ...]:
    return tuple((header, value) for header, value in good.headers if header != name)


def _another(spec: TopicSpec) -> bytes:
    other = next(each for each in TOPICS if each is not spec)
    return other.record.DESCRIPTOR.full_name.encode()
