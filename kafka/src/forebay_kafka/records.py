"""Records between bytes and messages, with proof of who caused them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from forebay.records.v1 import (
    AnswerRecord,
    ChunkSet,
    ContextRecord,
    DeadLetter,
    DocumentRecord,
    DocumentUpdate,
    QueryRecord,
    RetryRecord,
    StageReport,
    UsageRecord,
)
from forebay_kafka.envelope import Envelope, EnvelopeVerifier
from forebay_kafka.errors import IdentityInvalid, KafkaError, RecordInvalid
from forebay_kafka.partitioning import chunk_set_key, document_key
from forebay_kafka.topics import (
    IDENTITY_HEADER,
    RECORD_TYPE_HEADER,
    TRACE_PARENT_HEADER,
    TopicSpec,
    topic_named,
)

M_co = TypeVar("M_co", bound=Message, covariant=True)


@dataclass(frozen=True)
class Received:
    """A record as the log holds it. `timestamp_ms` counts milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    def only_header(self, name: str) -> bytes:
        """The value of a header that must be there exactly once."""
        values = [value for header, value in self.headers if header == name]
        if len(values) != 1 or not values[0]:
            raise RecordInvalid(f"the record needs exactly one header {name}", header=name)
        return values[0]


@dataclass(frozen=True)
class Verified(Generic[M_co]):
    """A record that was read and whose envelope fits it."""

    message: M_co
    envelope: Envelope
    identity_token: bytes
    trace_parent: bytes | None
    source: Received


# What they hold, if it came from a caller, proves itself by headers of its own.
UNVOUCHED_RECORDS = (RetryRecord, DeadLetter, StageReport)
# Whose envelope a record carries, where it is not its own: that of what a caller sent.
CAUSES: Mapping[type[Message], type[Message]] = {
    ChunkSet: DocumentRecord,
    ContextRecord: QueryRecord,
    AnswerRecord: QueryRecord,
    UsageRecord: QueryRecord,
}

Refused = Callable[[str, KafkaError], None]
"""Hears of each record that is not believed: its topic, and why."""


class RecordReader:
    """Reads records of every topic and trusts none without a fitting envelope."""

    def __init__(self, verifier: EnvelopeVerifier, refused: Refused | None = None) -> None:
        self._verifier = verifier
        self._refused = refused

    def read(self, received: Received) -> Verified[Message]:
        """Parse and verify one record; RecordInvalid or IdentityInvalid when it is poison."""
        try:
            return self._read(received)
        except KafkaError as error:
            if self._refused is not None:
                self._refused(received.topic, error)
            raise

    def _read(self, received: Received) -> Verified[Message]:
        spec = _readable_topic(received.topic)
        if not received.key or received.value is None:
            raise RecordInvalid("a record needs a key and a value")
        if received.only_header(RECORD_TYPE_HEADER) != record_type(spec.record).encode():
            raise RecordInvalid("the record's type is not that of its topic")
        token = _identity_token(received)
        envelope = self._verifier.verify(token)
        message = _parse(spec, received.value)
        _require_fit(spec, envelope, message, received)
        return Verified(message, envelope, token, _trace_parent(received), received)


def _readable_topic(name: str) -> TopicSpec:
    try:
        spec = topic_named(name)
    except KeyError as error:
        raise RecordInvalid("the contract has no such topic") from error
    if spec.record in UNVOUCHED_RECORDS:
        raise RecordInvalid("nobody vouches for such a record as a whole")
    return spec


def record_type(record: type[Message]) -> str:
    """What the record type header says of a message."""
    return record.DESCRIPTOR.full_name


def record_name(message: Message) -> str:
    """The resource that a record is about: a query's or a document's name."""
    event = getattr(message, "event", None)
    return str(event.query if event is not None else message.name)  # type: ignore[attr-defined]


def _identity_token(received: Received) -> bytes:
    try:
        return received.only_header(IDENTITY_HEADER)
    except RecordInvalid as error:
        raise IdentityInvalid(str(error)) from error


def _trace_parent(received: Received) -> bytes | None:
    return next((value for name, value in received.headers if name == TRACE_PARENT_HEADER), None)


def _parse(spec: TopicSpec, value: bytes) -> Message:
    try:
        return spec.record.FromString(value)
    except DecodeError as error:
        raise RecordInvalid("the record's value cannot be parsed") from error


def _require_fit(spec: TopicSpec, envelope: Envelope, message: Message, received: Received) -> None:
    if envelope.name != record_name(message):
        raise IdentityInvalid("the envelope speaks of another resource")
    is_own = envelope.record_type == record_type(spec.record)
    cause = CAUSES.get(spec.record)
    if not is_own and (cause is None or envelope.record_type != record_type(cause)):
        raise IdentityInvalid("the envelope speaks of another type of record")
    if is_own and envelope.value_sha256 != hashlib.sha256(received.value or b"").hexdigest():
        raise IdentityInvalid("the envelope speaks of another value")
    try:
        expected = record_key(envelope.identity.tenant, message)
    except ValueError as error:  # such as a query's name in a document's record
        raise IdentityInvalid("the envelope speaks of another kind of resource") from error
    if received.key != expected.encode():
        raise IdentityInvalid("the record's key belongs to another resource")


def record_key(tenant: str, message: Message) -> str:
    """The one key of a tenant's record. Raises ValueError for a name of another kind."""
    match message:
        case DocumentRecord() | DocumentUpdate():
            return document_key(tenant, message.name, message.version)
        case ChunkSet():
            return chunk_set_key(tenant, message.name, message.version, message.chunking)
        case UsageRecord():
            return tenant
        case _:
            return record_name(message)
