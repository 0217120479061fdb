"""On no topic is anything believed that the edge does not vouch for, there and so."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from google.protobuf.message import Message

from forebay.records.v1 import Topic
from forebay_kafka.envelope import EnvelopeVerifier, Statement
from forebay_kafka.envelope_keys import verification_keys
from forebay_kafka.errors import IdentityInvalid, KafkaError, RecordInvalid
from forebay_kafka.identity import Identity
from forebay_kafka.records import (
    CAUSES,
    UNVOUCHED_RECORDS,
    Received,
    RecordReader,
    record_key,
    record_name,
    record_type,
)
from forebay_kafka.topics import IDENTITY_HEADER, RECORD_TYPE_HEADER, TOPICS, TopicSpec

from .conftest import Authority

VOUCHED = [spec for spec in TOPICS if spec.record not in UNVOUCHED_RECORDS]
QUERY, DOCUMENT = "queries/abc", "collections/manuals/documents/pump-7"
VERSION = "019aa5f0-7c00-7abc-8def-0123456789ab"


def sample(record: type[Message], name: str = "") -> Message:
    """A record of a type, with what its key and its name are made of."""
    fields, message = record.DESCRIPTOR.fields_by_name, record()
    if "event" in fields:
        message.event.query = name or QUERY  # type: ignore[attr-defined]
        return message
    message.name = name or (DOCUMENT if "version" in fields else QUERY)  # type: ignore[attr-defined]
    for field, value in {"version": VERSION, "chunking": "2", "text": "How deep?"}.items():
        if field in fields:
            setattr(message, field, value)
    return message


@dataclass(frozen=True)
class Edge:
    """Who seals, for whom, and who reads."""

    authority: Authority
    identity: Identity
    reader: RecordReader

    def token(self, cause: Message, name: str = "") -> bytes:
        return self.authority.seal(cause, self.identity, Statement(name or record_name(cause)))

    def received(self, spec: TopicSpec, token: bytes | None = None) -> Received:
        """A record of a topic; with the envelope that it should have, unless one is given."""
        message = sample(spec.record)
        sealed = token or self.token(sample(CAUSES.get(spec.record, spec.record)))
        kind = record_type(spec.record).encode()
        return Received(
            topic=spec.name,
            partition=0,
            offset=0,
            timestamp_ms=0,
            key=record_key(self.identity.tenant, message).encode(),
            value=message.SerializeToString(),
            headers=((RECORD_TYPE_HEADER, kind), (IDENTITY_HEADER, sealed)),
        )

    def of_others(self, **changed: Any) -> "Edge":
        return replace(self, identity=replace(self.identity, **changed))


@pytest.fixture
def edge(authority: Authority, identity: Identity) -> Edge:
    return Edge(authority, identity, RecordReader(authority.verifier))


def with_token(received: Received, *tokens: bytes) -> Received:
    kind = next(header for header in received.headers if header[0] == RECORD_TYPE_HEADER)
    return replace(received, headers=(kind, *((IDENTITY_HEADER, token) for token in tokens)))


def token_of(received: Received) -> bytes:
    return received.only_header(IDENTITY_HEADER)


def with_bit_changed(token: bytes) -> bytes:
    return token[:-3] + bytes([token[-3] ^ 1]) + token[-2:]


def foreign_types(edge: Edge, spec: TopicSpec) -> Iterator[Received]:
    """Envelopes for the same name, of every record that this one is not made from."""
    right = {spec.record, CAUSES.get(spec.record, spec.record)}
    name = record_name(sample(spec.record))
    for other in (each.record for each in VOUCHED if each.record not in right):
        yield edge.received(spec, edge.token(sample(other), name))


def foreign_names(edge: Edge, spec: TopicSpec) -> Iterator[Received]:
    cause = CAUSES.get(spec.record, spec.record)
    own = record_name(sample(cause))
    for name in (own + "d", own[:-1], QUERY if own == DOCUMENT else DOCUMENT):
        yield edge.received(spec, edge.token(sample(cause, name)))
        yield edge.received(spec, edge.token(sample(cause), name))


def foreign_keys(edge: Edge, spec: TopicSpec) -> Iterator[Received]:
    good = edge.received(spec)
    key = good.key or b""
    for other in (key + b"d", key[:-1], b"evil" + key, b"queries/other", b"evil"):
        yield replace(good, key=other)


def foreign_values(edge: Edge, spec: TopicSpec) -> Iterator[Received]:
    """The record's own envelope over another value; a cause's envelope says nothing of it."""
    good = edge.received(spec, edge.token(sample(spec.record)))
    edge.reader.read(good)
    yield replace(good, value=(good.value or b"") + b"\x98\x06\x01")  # a field nobody knows
    yield replace(good, value=b"")


def copies_elsewhere(edge: Edge, spec: TopicSpec) -> Iterator[Received]:
    """The record as it is on every other topic, and once more as if it belonged there.

    Records with one cause may be written for each other by who may write them: that is what
    access rules are for.
    """
    good = edge.received(spec)
    for other in (each for each in VOUCHED if each is not spec):
        yield replace(good, topic=other.name)
        if CAUSES.get(other.record) not in (spec.record, CAUSES.get(spec.record)):
            kind = record_type(other.record).encode()
            headers = ((RECORD_TYPE_HEADER, kind), (IDENTITY_HEADER, token_of(good)))
            yield replace(good, topic=other.name, headers=headers)


FORGERIES: dict[str, Callable[[Edge, TopicSpec], Iterator[Received]]] = {
    "no envelope": lambda e, s: iter([with_token(e.received(s))]),
    "an empty envelope": lambda e, s: iter([with_token(e.received(s), b"")]),
    "the envelope twice": lambda e, s: iter(
        [with_token(e.received(s), *[token_of(e.received(s))] * 2)]
    ),
    "a second envelope that is forged": lambda e, s: iter(
        [with_token(e.received(s), token_of(e.received(s)), b"a.b.c")]
    ),
    "a changed bit": lambda e, s: iter(
        [with_token(e.received(s), with_bit_changed(token_of(e.received(s))))]
    ),
    "another type's envelope": foreign_types,
    "another resource's envelope": foreign_names,
    "another key": foreign_keys,
    "another value": foreign_values,
    "a copy on another topic": copies_elsewhere,
}


@pytest.mark.parametrize("spec", VOUCHED, ids=lambda spec: spec.name)
def test_what_the_edge_vouches_for_is_believed(edge: Edge, spec: TopicSpec) -> None:
    assert edge.reader.read(edge.received(spec)).envelope.identity == edge.identity


@pytest.mark.parametrize("spec", VOUCHED, ids=lambda spec: spec.name)
@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_is_forged_is_believed_nowhere(edge: Edge, spec: TopicSpec, forgery: str) -> None:
    told: list[tuple[str, KafkaError]] = []
    reader = RecordReader(edge.authority.verifier, lambda *refusal: told.append(refusal))
    forged = list(FORGERIES[forgery](edge, spec))
    assert forged
    for received in forged:
        with pytest.raises((RecordInvalid, IdentityInvalid)):
            reader.read(received)
    assert [topic for topic, _ in told] == [received.topic for received in forged]


@pytest.mark.parametrize("spec", VOUCHED, ids=lambda spec: spec.name)
def test_a_stranger_with_the_same_key_id_is_believed_nowhere(
    edge: Edge, stranger: Authority, spec: TopicSpec
) -> None:
    forged = replace(edge, authority=stranger).received(spec)
    with pytest.raises(IdentityInvalid):
        edge.reader.read(forged)


@pytest.mark.parametrize("spec", VOUCHED, ids=lambda spec: spec.name)
def test_an_envelope_from_after_its_keys_time_is_believed_nowhere(
    edge: Edge, spec: TopicSpec
) -> None:
    ended = edge.authority.jwks.replace('"kid"', '"exp": 1700000000, "kid"')
    reader = RecordReader(EnvelopeVerifier(verification_keys(ended)))
    with pytest.raises(IdentityInvalid):
        reader.read(edge.received(spec))


@pytest.mark.parametrize(
    "spec",
    [spec for spec in VOUCHED if spec.family == Topic.FAMILY_DOCUMENTS],
    ids=lambda spec: spec.name,
)
def test_an_envelope_of_another_tenant_opens_nobodys_documents(edge: Edge, spec: TopicSpec) -> None:
    evil = edge.of_others(tenant="evil").received(spec)
    with pytest.raises(IdentityInvalid):
        edge.reader.read(replace(evil, key=edge.received(spec).key))
