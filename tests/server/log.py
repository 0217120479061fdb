"""What the log holds, read from where a test began."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import confluent_kafka
from google.protobuf.message import Message

from forebay_kafka.polling import received
from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import TOPICS, topic_of


class LogReader:
    """Reads the records of a topic that came after it was made."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._consumer = confluent_kafka.Consumer(
            {**settings.client_options(), "group.id": "test", "enable.auto.commit": False}
        )
        self._starts = {spec.name: self._ends(spec.name) for spec in TOPICS}

    def read(self, record: type[Message]) -> list[Received]:
        topic = topic_of(record).name
        starts, ends = self._starts[topic], self._ends(topic)
        return self.wait(
            record, sum(ends[partition] - start for partition, start in starts.items())
        )

    def wait(self, record: type[Message], count: int) -> list[Received]:
        """The first records of the topic, once there are that many."""
        topic = topic_of(record).name
        self._consumer.assign(
            [
                confluent_kafka.TopicPartition(topic, partition, start)
                for partition, start in self._starts[topic].items()
            ]
        )
        found: list[Received] = []
        while len(found) < count:
            message = self._consumer.poll(10)
            assert message is not None
            assert message.error() is None
            found.append(received(message))
        self._consumer.unassign()
        return found

    def close(self) -> None:
        self._consumer.close()

    def _ends(self, topic: str) -> dict[int, int]:
        partitions = self._consumer.list_topics(topic, 10).topics[topic].partitions
        return {partition: self._end(topic, partition) for partition in partitions}

    def _end(self, topic: str, partition: int) -> int:
        place = confluent_kafka.TopicPartition(topic, partition)
        for attempt in range(100):
            try:
                return int(self._consumer.get_watermark_offsets(place, 10)[1])
            except confluent_kafka.KafkaException:  # a new topic has no leader yet
                if attempt == 99:
                    raise
                time.sleep(0.05)
        raise AssertionError


@contextmanager
def log_from_here(settings: KafkaSettings) -> Iterator[LogReader]:
    reader = LogReader(settings)
    yield reader
    reader.close()
