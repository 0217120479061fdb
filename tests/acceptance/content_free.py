"""What a system writes beside its content: logs, figures, and the topics that carry none."""

import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import confluent_kafka
from google.protobuf.message import Message

from forebay.records.v1 import (
    AnswerRecord,
    ChunkSet,
    ContextRecord,
    DeadLetter,
    DocumentRecord,
    DocumentUpdate,
    QueryRecord,
    RetryRecord,
)
from forebay_kafka.topics import TOPICS, topic_of
from forebay_standalone.system import System

from .log import Ends, LogProbe, log_probe

CONTENT: tuple[type[Message], ...] = (
    DocumentRecord,
    DocumentUpdate,
    ChunkSet,
    QueryRecord,
    ContextRecord,
    AnswerRecord,
    RetryRecord,
    DeadLetter,
)
WAIT_SECONDS = 10.0


def logs(system: System) -> dict[str, bytes]:
    """The log of every program, the broker's and the database's too, by its name."""
    return {path.name: path.read_bytes() for path in system.state.logs.rglob("*") if path.is_file()}


def figures(system: System) -> dict[str, bytes]:
    """What every program shows at `/metrics`."""
    shown = {}
    for name, env in system.options.program_env.items():
        address = f"http://{env['FOREBAY_METRICS_ADDRESS']}/metrics"
        with urllib.request.urlopen(address, timeout=WAIT_SECONDS) as reply:
            shown[f"figures of {name}"] = reply.read()
    return shown


def login(system: System) -> dict[str, str | int | bool]:
    """What a client of Kafka needs to read and write everything."""
    return {"bootstrap.servers": system.addresses.kafka, **system.kafka_login()}


@contextmanager
def records(system: System) -> Iterator["RecordsSince"]:
    """Every record that reaches the log from here on."""
    options = {**login(system), "group.id": "eavesdropper", "enable.auto.commit": False}
    consumer = confluent_kafka.Consumer(options)
    with log_probe(system) as probe:
        yield RecordsSince(consumer, probe)
    consumer.close()


class RecordsSince:
    """The records of all topics since this was made."""

    def __init__(self, consumer: confluent_kafka.Consumer, probe: LogProbe) -> None:
        self._consumer, self._probe = consumer, probe
        self._begin = self._ends()

    def read(self) -> list[confluent_kafka.Message]:
        """All records from the beginning of this watch to now."""
        due = {place: end for place, end in self._ends().items() if end > self._begin[place]}
        self._consumer.assign(
            [confluent_kafka.TopicPartition(*place, self._begin[place]) for place in due]
        )
        found, deadline = [], time.monotonic() + WAIT_SECONDS
        while due:
            assert time.monotonic() < deadline
            message = self._consumer.poll(0.5)
            if message is None:
                continue
            assert message.error() is None
            place = (message.topic() or "", message.partition() or 0)
            found.append(message)
            if place in due and (message.offset() or 0) + 1 >= due[place]:
                del due[place]
        return found

    def _ends(self) -> Ends:
        return self._probe.ends_of(*(spec.name for spec in TOPICS))


def without_content(messages: list[confluent_kafka.Message]) -> dict[str, bytes]:
    """Key, value and headers of the records on topics that carry no content, by their place."""
    carrying = {topic_of(record).name for record in CONTENT}
    return {
        f"{each.topic()} {each.partition()}/{each.offset()}": whole(each)
        for each in messages
        if each.topic() not in carrying
    }


def whole(message: confluent_kafka.Message) -> bytes:
    headers = b"".join(name.encode() + (value or b"") for name, value in message.headers() or ())
    return (message.key() or b"") + (message.value() or b"") + headers


def finds(words: dict[str, str], texts: dict[str, bytes]) -> list[str]:
    """Which words stand in which texts, plain or escaped for JSON."""
    found = []
    for name, word in words.items():
        pattern = re.compile(re.escape(word.encode()), re.IGNORECASE)
        found += [f"{name} in {place}" for place, text in texts.items() if pattern.search(text)]
    return found
