"""What the log says: how far groups are, which answers ended, and what was given up."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import confluent_kafka
from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

# The public module re-exports it without saying so, which type checkers refuse.
from confluent_kafka.admin._listoffsets import OffsetSpec
from google.protobuf.message import DecodeError, Message

from forebay.records.v1 import (
    AnswerRecord,
    AuditRecord,
    ChunkSet,
    ContextRecord,
    DeadLetter,
    DocumentRecord,
    DocumentUpdate,
    QueryRecord,
)
from forebay_kafka.answer_fold import TERMINAL, AnswerFold
from forebay_kafka.envelope_files import VerificationKeyFile
from forebay_kafka.errors import KafkaError
from forebay_kafka.polling import poll_batch
from forebay_kafka.records import Received, RecordReader, Verified
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import topic_of
from forebay_standalone.system import System

ASK_SECONDS = 15.0
ANSWER_SECONDS = 3.0  # of one broker, which may be dead
ELECTION_SECONDS = 60.0  # until others lead what a dead broker led
LOOK_SECONDS = 0.2
GROUPS: Mapping[str, tuple[type[Message], ...]] = {
    "forebay.cataloguing": (DocumentRecord, DocumentUpdate),
    "forebay.chunking": (DocumentRecord,),
    "forebay.embedding": (ChunkSet,),
    "forebay.retrieval": (QueryRecord,),
    "forebay.generation": (ContextRecord,),
    "forebay.auditing": (AuditRecord, DocumentRecord, DocumentUpdate, QueryRecord),
}
Place = tuple[str, int]


@dataclass
class Told:
    """What the log tells of one query. Times count seconds since 1970."""

    text: str = ""
    fold: AnswerFold = field(default_factory=AnswerFold)
    ends: list[str] = field(default_factory=list)
    closed_at: float = 0.0


class LogBooks:
    """Reads the log of a system without a group of its own; its calls block."""

    def __init__(self, system: System) -> None:
        # A lost connection is what these tests are about.
        options: dict[str, str | int | bool] = {"log_level": 0, **system.kafka_login()}
        self._settings = KafkaSettings(bootstrap_servers=system.addresses.kafka, options=options)
        self._jwks: Path = system.state.path / "envelope-jwks.json"

    @cached_property
    def _admin(self) -> AdminClient:
        return AdminClient({**self._settings.client_options()})

    def answers(self) -> dict[str, Told]:
        """Every query with an answer record, folded as all readers fold it."""
        told: dict[str, Told] = {}
        for verified in self.believed(AnswerRecord):
            if isinstance(verified.message, AnswerRecord):
                name = verified.message.event.query
                _take(told.setdefault(name, Told()), verified.message, verified.source)
        return told

    def contexts(self) -> dict[str, float]:
        """Queries whose passages were found, and when, in seconds since 1970."""
        found: dict[str, float] = {}
        for each in self.records(ContextRecord):
            found.setdefault((each.key or b"").decode(errors="replace"), each.timestamp_ms / 1000)
        return found

    def letters(self) -> list[DeadLetter]:
        """What was given up."""
        found = []
        for each in self.records(DeadLetter):
            with suppress(DecodeError):  # poison may stand there too
                found.append(DeadLetter.FromString(each.value or b""))
        return [letter for letter in found if letter.group]

    def believed(self, record: type[Message]) -> Iterator[Verified[Message]]:
        """All records of a topic that the edge vouches for."""
        reader = RecordReader(VerificationKeyFile(self._jwks).verifier)
        for received in self.records(record):
            try:
                verified = reader.read(received)
            except KafkaError:
                continue  # poison counts for nobody
            yield verified

    def records(self, record: type[Message]) -> Iterator[Received]:
        """All records of a topic up to its present end."""
        ends = {place: end for place, end in self.ends(topic_of(record).name).items() if end}
        consumer = confluent_kafka.Consumer(
            {
                **self._settings.client_options(),
                "group.id": "books",
                "enable.auto.commit": False,
                # A compacted topic may end in a record that was cleaned away.
                "enable.partition.eof": False,
            }
        )
        begin = confluent_kafka.OFFSET_BEGINNING
        consumer.assign([confluent_kafka.TopicPartition(*place, begin) for place in ends])
        deadline = time.monotonic() + ELECTION_SECONDS
        while ends:
            assert time.monotonic() < deadline, f"{record.__name__} cannot be read"
            for received in poll_batch(consumer, LOOK_SECONDS, 1_000):
                deadline = time.monotonic() + ELECTION_SECONDS
                place = (received.topic, received.partition)
                if received.offset + 1 >= ends.get(place, 0):
                    ends.pop(place, None)
                yield received
        consumer.close()

    def lag(self) -> dict[str, int]:
        """Records that each group has not finished, where there are any."""
        found = {}
        for group, records in GROUPS.items():
            done = self._done(group)
            read = {topic_of(record).name for record in records} | {topic for topic, _ in done}
            ends = self.ends(*read)
            behind = sum(max(0, end - done.get(place, 0)) for place, end in ends.items())
            if behind:
                found[group] = behind
        return found

    def wait_no_lag(self, seconds: float) -> float:
        """Return, with the seconds that it took, once every group has finished everything."""
        began = time.monotonic()
        while behind := self.lag():
            waited = time.monotonic() - began
            assert waited < seconds, f"lag after {waited:.0f} s: {behind}"
            time.sleep(LOOK_SECONDS)
        return time.monotonic() - began

    def wait_shared(self, group: str, members: int) -> None:
        """Return once so many members have partitions of a group, and nothing moves."""
        deadline = time.monotonic() + ELECTION_SECONDS
        while True:
            [answer] = self._admin.describe_consumer_groups([group]).values()
            found = answer.result(ASK_SECONDS)
            busy = [each for each in found.members if each.assignment.topic_partitions]
            if found.state is ConsumerGroupState.STABLE and len(busy) >= members:
                return
            assert time.monotonic() < deadline, f"{len(busy)} members share {group}"
            time.sleep(LOOK_SECONDS)

    def ends(self, *topics: str) -> dict[Place, int]:
        """The end of every partition of topics; asked again while leaders change."""
        deadline = time.monotonic() + ELECTION_SECONDS
        while True:
            try:
                return self._ends(topics)
            except (confluent_kafka.KafkaException, TimeoutError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_SECONDS)

    def _ends(self, topics: Sequence[str]) -> dict[Place, int]:
        known = self._admin.list_topics(timeout=ASK_SECONDS).topics
        wanted = {
            confluent_kafka.TopicPartition(topic, partition): OffsetSpec.latest()  # type: ignore[no-untyped-call]
            for topic in topics
            for partition in known[topic].partitions
        }
        answers = self._admin.list_offsets(wanted, request_timeout=ANSWER_SECONDS)
        return {
            (place.topic, place.partition): answer.result(2 * ANSWER_SECONDS).offset
            for place, answer in answers.items()
        }

    def _done(self, group: str) -> dict[Place, int]:
        asked = ConsumerGroupTopicPartitions(group)
        [answer] = self._admin.list_consumer_group_offsets([asked]).values()
        found = answer.result(ASK_SECONDS).topic_partitions or []
        return {(place.topic, place.partition): max(0, place.offset) for place in found}


def _take(told: Told, record: AnswerRecord, received: Received) -> None:
    kind = record.event.WhichOneof("event") or ""
    told.text = told.text or record.event.accepted.text
    counted = told.fold.counts(record.event)
    if kind in TERMINAL and counted:
        told.ends.append(kind)
        told.closed_at = received.timestamp_ms / 1000
