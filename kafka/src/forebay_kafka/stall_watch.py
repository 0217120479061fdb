"""Notices a partition of a group's member that does not move although the log has more of it.

A client may stop to fetch a partition for good, alive and assigned as it is, and nobody hears of
it. So a second client asks the log, in a thread of its own: what it can read at a position at
which the member has stood for a while is a proof.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import confluent_kafka

from forebay_kafka.group_membership import TopicPartition
from forebay_kafka.polling import reader_options
from forebay_kafka.settings import KafkaSettings

LOOKS = 4  # within the time that a partition may stand
LOOK_UP_SECONDS = 3.0  # a broker that does not answer by then has no records for the member either
FETCH_WAIT_MS = 50

log = logging.getLogger(__name__)

Positions = Mapping[TopicPartition, int | None]


@dataclass(frozen=True)
class Stall:
    """A partition that stands at `position`, with records up to `end`."""

    name: TopicPartition
    position: int
    end: int
    what = "a partition does not move"

    def facts(self) -> dict[str, object]:
        """What an operator would ask."""
        topic, partition = self.name.topic, self.name.partition
        return {
            "topic": topic,
            "partition": partition,
            "position": self.position,
            "end": self.end,
        }


@dataclass(frozen=True)
class Expelled:
    """A member that lost everything and hears nothing more of its group.

    Seen after a broker that was away: the client believed that it rejoins, and never asked.
    """

    what = "the group has forgotten the member"

    def facts(self) -> dict[str, object]:
        """Nothing is known but that."""
        return {}


@dataclass(frozen=True)
class _Question:
    position: int | None  # None where nothing was read yet: where the group stands
    read: bool  # whether a record is to be read, or the ends tell enough


class StallWatch:
    """Compares positions with the log's ends; `check` never blocks."""

    def __init__(self, settings: KafkaSettings, group: str, seconds: float) -> None:
        self._options = {**reader_options(settings, FETCH_WAIT_MS), "group.id": group}
        self._seconds = seconds
        self._next = time.monotonic() + seconds / LOOKS
        self._seen: dict[TopicPartition, int | None] = {}
        self._since: dict[TopicPartition, float] = {}  # when one was first seen to be behind
        self._asking = False
        self._questions: queue.SimpleQueue[dict[TopicPartition, _Question] | None] = (
            queue.SimpleQueue()
        )
        self._answers: queue.SimpleQueue[dict[TopicPartition, Stall]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="forebay-stall-watch", daemon=True).start()

    def check(self, positions: Positions) -> Stall | None:
        """Take the positions of what is assigned and not paused; the first one that stands."""
        stall = self._hear(positions)
        if stall is not None or time.monotonic() < self._next or self._asking:
            return stall
        self._next = time.monotonic() + self._seconds / LOOKS
        standing = {n: p for n, p in positions.items() if n in self._seen and self._seen[n] == p}
        self._since = {name: since for name, since in self._since.items() if name in standing}
        self._seen = dict(positions)
        if standing:
            self._asking = True
            self._questions.put({n: _Question(p, self._is_old(n)) for n, p in standing.items()})
        return None

    def forget(self, names: frozenset[TopicPartition] | set[TopicPartition]) -> None:
        """Begin anew with partitions that were paused, or that left."""
        for name in names:
            self._seen.pop(name, None)
            self._since.pop(name, None)

    def close(self) -> None:
        """End the thread, soon."""
        self._questions.put(None)

    def _is_old(self, name: TopicPartition) -> bool:
        since = self._since.get(name)
        return since is not None and time.monotonic() - since >= self._seconds * (1 - 1 / LOOKS)

    def _hear(self, positions: Positions) -> Stall | None:
        with suppress(queue.Empty):
            behind = self._answers.get_nowait()
            self._asking = False
            now = time.monotonic()
            for name, stall in behind.items():
                if name not in self._seen or positions.get(name) != self._seen[name]:
                    continue  # it has moved, or left, since the question
                if now - self._since.setdefault(name, now) >= self._seconds:
                    return stall
            self._since = {name: at for name, at in self._since.items() if name in behind}
        return None

    # What follows runs in the thread.

    def _run(self) -> None:
        client = confluent_kafka.Consumer(self._options)
        while (questions := self._questions.get()) is not None:
            try:
                self._answers.put(_behind(client, questions))
            except confluent_kafka.KafkaException as error:
                log.info("looking up how far the log goes: %s", error)
                self._answers.put({})
        client.close()


def _behind(
    client: confluent_kafka.Consumer, questions: Mapping[TopicPartition, _Question]
) -> dict[TopicPartition, Stall]:
    """Those that have more records."""
    found = {}
    for name, question in questions.items():
        place = confluent_kafka.TopicPartition(name.topic, name.partition)
        low, end = client.get_watermark_offsets(place, timeout=LOOK_UP_SECONDS)
        position = question.position
        if position is None:
            position = client.committed([place], timeout=LOOK_UP_SECONDS)[0].offset
        place.offset = max(low, position)
        if end > place.offset and (not question.read or _has_record(client, place)):
            found[name] = Stall(name, place.offset, end)
    return found


def _has_record(client: confluent_kafka.Consumer, place: confluent_kafka.TopicPartition) -> bool:
    """Whether a record can be read; compaction may have left none below the end."""
    client.assign([place])
    try:
        message = client.poll(LOOK_UP_SECONDS)
        return message is not None and message.error() is None
    finally:
        client.unassign()
