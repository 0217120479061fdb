"""What the log holds: how far each topic goes, and what was given up since."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import confluent_kafka
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

# The public module re-exports it without saying so, which type checkers refuse.
from confluent_kafka.admin._listoffsets import OffsetSpec
from google.protobuf.message import Message

from forebay.errors.v1 import ErrorReason
from forebay.records.v1 import AuditRecord, DeadLetter, StageReport, UsageRecord
from forebay_kafka.failure import error_info
from forebay_kafka.partitioning import partition_for
from forebay_kafka.polling import received
from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import TOPICS, topic_of
from forebay_standalone.system import System

WAIT_SECONDS = 10.0
STILL_SECONDS, LOOK_SECONDS = 0.3, 0.1  # a stage that is at work writes more often
REST_SECONDS = 60.0  # for what other tests have left behind
ALWAYS_GROWING = (StageReport, AuditRecord)
LETTERS, USAGE = topic_of(DeadLetter).name, topic_of(UsageRecord).name

Ends = dict[tuple[str, int], int]


class LogProbe:
    """Looks at the log without a group of its own."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._admin = AdminClient({**settings.client_options()})
        self._consumer = confluent_kafka.Consumer(
            {**settings.client_options(), "group.id": "probe", "enable.auto.commit": False}
        )
        self._begin_with_new_letters()

    def ends(self) -> Ends:
        """The end of every partition of every topic that only accepted calls make grow."""
        return self.ends_of(*(spec.name for spec in TOPICS if spec.record not in ALWAYS_GROWING))

    def at_rest(self) -> Ends:
        """The same, once what earlier calls began has come to its end."""
        deadline = time.monotonic() + REST_SECONDS
        ends, since = self.ends(), time.monotonic()
        while time.monotonic() < since + STILL_SECONDS:
            time.sleep(LOOK_SECONDS)
            if (now := self.ends()) != ends:
                ends, since = now, time.monotonic()
            assert time.monotonic() < deadline, "the log goes on growing"
        return ends

    def usage_of(self, tenant: str) -> list[UsageRecord]:
        """What a tenant's answers have cost up to now."""
        ends = self.ends_of(USAGE)
        partition = partition_for(tenant, len(ends))
        self._consumer.assign([confluent_kafka.TopicPartition(USAGE, partition, 0)])
        found: list[UsageRecord] = []
        position = 0
        while position < ends[USAGE, partition]:
            message = self._consumer.poll(WAIT_SECONDS)
            assert message is not None
            assert message.error() is None
            position = (message.offset() or 0) + 1
            if message.key() == tenant.encode():
                found.append(UsageRecord.FromString(message.value() or b""))
        return found

    def letter_of(self, name: str) -> DeadLetter:
        """The first dead letter about a resource since the last one that was asked for."""
        while True:
            message = self._consumer.poll(WAIT_SECONDS)
            assert message is not None, f"no dead letter for {name}"
            assert message.error() is None
            letter = DeadLetter.FromString(message.value() or b"")
            if name.encode() in letter.key:
                return letter

    def wait_caught_up(self, group: str, record: type[Message]) -> None:
        """Return once a group has done everything that its topic holds now."""
        due = self.ends_of(topic_of(record).name)
        deadline = time.monotonic() + WAIT_SECONDS
        while any(self._done(group, due)[place] < end for place, end in due.items()):
            assert time.monotonic() < deadline, f"{group} does not catch up"

    def wait_ended(self, record: type[Message], key_part: str, *, contents: int = 0) -> None:
        """Return once a tombstone is in the record's topic whose key holds a text.

        At least so many records with content come before it.
        """
        for found in self._records(record, key_part):
            if found.value is not None:
                contents -= 1
            elif contents <= 0:
                return

    def first(self, record: type[Message], key_part: str) -> Received:
        """The first record of a topic whose key holds a text."""
        return next(self._records(record, key_part))

    def _records(self, record: type[Message], key_part: str) -> Iterator[Received]:
        """The records of a topic whose key holds a text, those to come too."""
        topic = topic_of(record).name
        partitions = self._admin.list_topics(topic, timeout=WAIT_SECONDS).topics[topic].partitions
        begin = confluent_kafka.OFFSET_BEGINNING
        self._consumer.assign(
            [confluent_kafka.TopicPartition(topic, partition, begin) for partition in partitions]
        )
        while True:
            message = self._consumer.poll(WAIT_SECONDS)
            assert message is not None, f"no such {record.__name__} of {key_part}"
            assert message.error() is None
            if key_part.encode() in (message.key() or b""):
                yield received(message)

    def _done(self, group: str, places: Ends) -> Ends:
        wanted = [confluent_kafka.TopicPartition(*place) for place in places]
        asked = ConsumerGroupTopicPartitions(group, wanted)
        [answer] = self._admin.list_consumer_group_offsets([asked]).values()
        found = answer.result(WAIT_SECONDS).topic_partitions or []
        return {(place.topic, place.partition): max(0, place.offset) for place in found}

    def close(self) -> None:
        self._consumer.close()

    def _begin_with_new_letters(self) -> None:
        self._consumer.assign(
            [
                confluent_kafka.TopicPartition(topic, partition, end)
                for (topic, partition), end in self.ends_of(LETTERS).items()
            ]
        )

    def ends_of(self, *topics: str) -> Ends:
        """The end of every partition of these topics."""
        known = self._admin.list_topics(timeout=WAIT_SECONDS).topics
        # One call for all: asked one by one, hundreds of partitions take a minute.
        wanted = {
            confluent_kafka.TopicPartition(topic, partition): OffsetSpec.latest()  # type: ignore[no-untyped-call]
            for topic in topics
            for partition in known[topic].partitions
        }
        return {
            (place.topic, place.partition): answer.result(WAIT_SECONDS).offset
            for place, answer in self._admin.list_offsets(wanted).items()
        }


def reason_of(letter: DeadLetter) -> ErrorReason.ValueType:
    return ErrorReason.Value(f"ERROR_REASON_{error_info(letter.error).reason}")


@contextmanager
def log_probe(system: System) -> Iterator[LogProbe]:
    options: dict[str, str | int | bool] = {**system.kafka_login()}
    probe = LogProbe(KafkaSettings(bootstrap_servers=system.addresses.kafka, options=options))
    yield probe
    probe.close()
