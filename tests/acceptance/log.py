"""What the log holds: how far each topic goes, and what was given up since."""

from collections.abc import Iterator
from contextlib import contextmanager

import confluent_kafka

from forebay.errors.v1 import ErrorReason
from forebay.records.v1 import DeadLetter
from forebay_kafka.failure import error_info
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import TOPICS, topic_of

WAIT_SECONDS = 10.0
LETTERS = topic_of(DeadLetter).name

Ends = dict[tuple[str, int], int]


class LogProbe:
    """Looks at the log without a group of its own."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._consumer = confluent_kafka.Consumer(
            {**settings.client_options(), "group.id": "probe", "enable.auto.commit": False}
        )
        self._begin_with_new_letters()

    def ends(self) -> Ends:
        """The end of every partition of every topic."""
        return {end: at for spec in TOPICS for end, at in self._ends_of(spec.name).items()}

    def letter_of(self, name: str) -> DeadLetter:
        """The first dead letter about a resource since the last one that was asked for."""
        while True:
            message = self._consumer.poll(WAIT_SECONDS)
            assert message is not None, f"no dead letter for {name}"
            assert message.error() is None
            letter = DeadLetter.FromString(message.value() or b"")
            if name.encode() in letter.key:
                return letter

    def close(self) -> None:
        self._consumer.close()

    def _begin_with_new_letters(self) -> None:
        self._consumer.assign(
            [
                confluent_kafka.TopicPartition(topic, partition, end)
                for (topic, partition), end in self._ends_of(LETTERS).items()
            ]
        )

    def _ends_of(self, topic: str) -> Ends:
        partitions = self._consumer.list_topics(topic, WAIT_SECONDS).topics[topic].partitions
        return {
            (topic, partition): self._consumer.get_watermark_offsets(
                confluent_kafka.TopicPartition(topic, partition), WAIT_SECONDS
            )[1]
            for partition in partitions
        }


def reason_of(letter: DeadLetter) -> ErrorReason.ValueType:
    return ErrorReason.Value(f"ERROR_REASON_{error_info(letter.error).reason}")


@contextmanager
def log_probe(bootstrap_servers: str) -> Iterator[LogProbe]:
    probe = LogProbe(KafkaSettings(bootstrap_servers=bootstrap_servers))
    yield probe
    probe.close()
