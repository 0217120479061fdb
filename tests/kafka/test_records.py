"""A record is read when its bytes and its envelope fit, and is poison otherwise."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from google.protobuf.message import Message

from forebay.ingest.v1 import Document
from forebay.query.v1 import AnswerEvent, SubmitQueryRequest
from forebay.records.v1 import (
    AnswerRecord,
    ChunkSet,
    ContextRecord,
    DeadLetter,
    DocumentRecord,
    DocumentUpdate,
    QueryRecord,
)
from forebay_kafka.envelope import Statement
from forebay_kafka.errors import IdentityInvalid, KafkaError, RecordInvalid
from forebay_kafka.identity import Identity
from forebay_kafka.records import Received, RecordReader, record_name, record_type
from forebay_kafka.topics import IDENTITY_HEADER, RECORD_TYPE_HEADER, TRACE_PARENT_HEADER, topic_of

VERSION = "019aa5f0-7c00-7abc-8def-0123456789ab"
DOCUMENT = "collections/manuals/documents/pump-7"
QUERY = "queries/abc"
KEY = b"acme/manuals/pump-7@" + VERSION.encode()
EDGE: dict[bytes, Message] = {
    KEY: DocumentRecord(name=DOCUMENT, version=VERSION, document=Document(text="Deep.")),
    KEY + b" ": DocumentUpdate(name=DOCUMENT, version=VERSION),
    QUERY.encode(): QueryRecord(name=QUERY, request=SubmitQueryRequest(text="How deep?")),
}
DERIVED: dict[bytes, tuple[Message, Message]] = {
    KEY + b"/2": (ChunkSet(name=DOCUMENT, version=VERSION, chunking="2"), EDGE[KEY]),
    QUERY.encode(): (ContextRecord(name=QUERY), EDGE[QUERY.encode()]),
    QUERY.encode() + b" ": (
        AnswerRecord(event=AnswerEvent(query=QUERY)),
        EDGE[QUERY.encode()],
    ),
}


@dataclass(frozen=True)
class World:
    """Somebody who seals, and a reader that trusts them."""

    authority: Any
    identity: Identity
    reader: RecordReader

    def received(self, message: Message, key: bytes, cause: Message | None = None) -> Received:
        """The record as the log would hold it."""
        statement = Statement(record_name(cause or message))
        token = self.authority.seal(cause or message, self.identity, statement)
        return Received(
            topic=topic_of(message).name,
            partition=0,
            offset=0,
            timestamp_ms=0,
            key=key.strip(),
            value=message.SerializeToString(),
            headers=(
                (RECORD_TYPE_HEADER, record_type(type(message)).encode()),
                (IDENTITY_HEADER, token),
            ),
        )


@pytest.fixture
def world(authority: Any, identity: Identity) -> World:
    return World(authority, identity, RecordReader(authority.verifier))


@pytest.mark.parametrize(("key", "message"), EDGE.items())
def test_the_edges_own_records_are_read(world: World, key: bytes, message: Message) -> None:
    verified = world.reader.read(world.received(message, key))
    assert verified.message == message
    assert verified.envelope.identity == world.identity
    assert verified.trace_parent is None


@pytest.mark.parametrize(("key", "pair"), DERIVED.items())
def test_derived_records_are_read_with_the_envelope_of_their_cause(
    world: World, key: bytes, pair: tuple[Message, Message]
) -> None:
    message, cause = pair
    received = world.received(message, key, cause)
    traced = replace(received, headers=(*received.headers, (TRACE_PARENT_HEADER, b"00-1-2-01")))
    verified = world.reader.read(traced)
    assert verified.message == message
    assert verified.trace_parent == b"00-1-2-01"


def without(received: Received, name: str) -> Received:
    kept = tuple(header for header in received.headers if header[0] != name)
    return replace(received, headers=kept)


def again(received: Received, name: str) -> Received:
    doubled = tuple(header for header in received.headers if header[0] == name)
    return replace(received, headers=(*received.headers, *doubled))


def emptied(received: Received, name: str) -> Received:
    return replace(without(received, name), headers=(*without(received, name).headers, (name, b"")))


def retyped(received: Received) -> Received:
    kept = without(received, RECORD_TYPE_HEADER)
    return replace(
        kept, headers=((RECORD_TYPE_HEADER, b"forebay.records.v1.ChunkSet"), *kept.headers)
    )


POISON: dict[str, tuple[Callable[[Received], Received], type[KafkaError]]] = {
    "an unknown topic": (lambda r: replace(r, topic="somebody.elses"), RecordInvalid),
    "the topic of dead letters": (
        lambda r: replace(r, topic=topic_of(DeadLetter).name),
        RecordInvalid,
    ),
    "another topic": (lambda r: replace(r, topic=topic_of(ContextRecord).name), RecordInvalid),
    "no key": (lambda r: replace(r, key=None), RecordInvalid),
    "an empty key": (lambda r: replace(r, key=b""), RecordInvalid),
    "a null value": (lambda r: replace(r, value=None), RecordInvalid),
    "a truncated value": (lambda r: replace(r, value=(r.value or b"")[:-1]), RecordInvalid),
    "noise": (lambda r: replace(r, value=b"\xff\xff\xff"), RecordInvalid),
    "text that is no UTF-8": (lambda r: replace(r, value=b"\x0a\x02\xff\xfe"), RecordInvalid),
    "no record type": (lambda r: without(r, RECORD_TYPE_HEADER), RecordInvalid),
    "two record types": (lambda r: again(r, RECORD_TYPE_HEADER), RecordInvalid),
    "another record type": (retyped, RecordInvalid),
    "no identity": (lambda r: without(r, IDENTITY_HEADER), IdentityInvalid),
    "two identities": (lambda r: again(r, IDENTITY_HEADER), IdentityInvalid),
    "an empty identity": (lambda r: emptied(r, IDENTITY_HEADER), IdentityInvalid),
    "an empty value": (lambda r: replace(r, value=b""), IdentityInvalid),
    "a value with one byte more": (
        lambda r: replace(r, value=(r.value or b"") + b"\x78\x01"),
        IdentityInvalid,
    ),
    "a key of another tenant": (
        lambda r: replace(r, key=(r.key or b"").replace(b"acme", b"evil")),
        IdentityInvalid,
    ),
    "a key of another version": (
        lambda r: replace(r, key=(r.key or b"").replace(b"019", b"018")),
        IdentityInvalid,
    ),
    "a key that goes on": (lambda r: replace(r, key=(r.key or b"") + b"x"), IdentityInvalid),
    "a key cut short": (lambda r: replace(r, key=(r.key or b"")[:-1]), IdentityInvalid),
}


@pytest.mark.parametrize(("poison", "error"), POISON.values(), ids=POISON)
def test_it_is_poison(
    world: World, poison: Callable[[Received], Received], error: type[KafkaError]
) -> None:
    good = world.received(EDGE[KEY], KEY)
    world.reader.read(good)
    with pytest.raises(error):
        world.reader.read(poison(good))


def test_every_cut_of_a_record_is_poison(world: World) -> None:
    good = world.received(EDGE[KEY], KEY)
    for length in range(len(good.value or b"")):
        with pytest.raises(KafkaError):
            world.reader.read(replace(good, value=(good.value or b"")[:length]))


def test_an_envelope_for_another_value_does_not_fit(world: World) -> None:
    other = DocumentRecord(name=DOCUMENT, version=VERSION, document=Document(text="Shallow."))
    received = world.received(other, KEY)
    with pytest.raises(IdentityInvalid, match="another value"):
        world.reader.read(replace(received, headers=world.received(EDGE[KEY], KEY).headers))


def test_an_envelope_for_another_type_of_record_does_not_fit(world: World) -> None:
    update = DocumentUpdate(name=DOCUMENT, version=VERSION)
    with pytest.raises(IdentityInvalid, match="another type"):
        world.reader.read(world.received(update, KEY, EDGE[KEY]))


@pytest.mark.parametrize(
    ("message", "key"),
    [
        (AnswerRecord(event=AnswerEvent(query="queries/abcd")), b"queries/abcd"),
        (AnswerRecord(event=AnswerEvent(query="queries/abcd")), b"queries/abc"),
        (ContextRecord(name="queries/ab"), b"queries/ab"),
    ],
)
def test_an_envelope_for_another_query_does_not_fit(
    world: World, message: Message, key: bytes
) -> None:
    with pytest.raises(IdentityInvalid):
        world.reader.read(world.received(message, key, EDGE[QUERY.encode()]))


def test_an_answer_under_the_key_of_another_query_is_poison(world: World) -> None:
    answer = AnswerRecord(event=AnswerEvent(query=QUERY))
    with pytest.raises(IdentityInvalid):
        world.reader.read(world.received(answer, b"queries/abcd", EDGE[QUERY.encode()]))


def test_a_querys_envelope_says_nothing_for_a_document(world: World) -> None:
    chunks = ChunkSet(name=QUERY, version=VERSION, chunking="2")
    with pytest.raises(IdentityInvalid):
        world.reader.read(world.received(chunks, KEY, EDGE[QUERY.encode()]))


def test_an_envelope_of_another_tenant_does_not_fit(world: World) -> None:
    evil = World(world.authority, replace(world.identity, tenant="evil"), world.reader)
    chunks, cause = DERIVED[KEY + b"/2"]
    with pytest.raises(IdentityInvalid):
        world.reader.read(evil.received(chunks, KEY + b"/2", cause))
