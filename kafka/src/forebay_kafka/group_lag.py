"""How far consumer groups are behind their topics, asked about once a second."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END

# The public modules re-export these without saying so, which type checkers refuse.
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.group_membership import TopicPartition
from forebay_kafka.polling import reader_options
from forebay_kafka.settings import KafkaSettings

INTERVAL_SECONDS = 1.0  # as often as workers report and commit; what is newer says nothing new
REQUEST_SECONDS = 3.0  # a broker that is up answers within milliseconds
FRESH_SECONDS = 3.0  # a missed answer or two are nothing; more are an outage
FETCH_WAIT_MS = 50  # nothing is fetched
KEPT = 8  # so that a report can be compared with what was so when it was written
NO_TOPICS = "the log does not have its topics yet"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One partition: the next offset that its group has yet to finish, and the topic's end."""

    committed: int
    end: int

    @property
    def records(self) -> int:
        """How many records lie in between; what compaction took away counts too."""
        return max(0, self.end - self.committed)


@dataclass(frozen=True, slots=True)
class LagSnapshot:
    """All groups at one moment; `taken_at` is when it was known, in time.monotonic()."""

    taken_at: float
    groups: Mapping[str, Mapping[TopicPartition, PartitionLag]]


class GroupLag:
    """Asks for the offsets of groups; `async with GroupLag(settings, {group: topics}) as lag`.

    A thread waits for the broker, the event loop never does; `on_snapshot` runs in the loop.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        groups: Mapping[str, Sequence[str]],
        on_snapshot: Callable[[LagSnapshot], None] = lambda _: None,
    ) -> None:
        self._offsets = _Offsets(settings, groups)
        self._on_snapshot = on_snapshot
        self._recent: deque[LagSnapshot] = deque(maxlen=KEPT)
        self._arrived = asyncio.Event()  # of the next snapshot; each has its own
        self._closing = threading.Event()

    async def __aenter__(self) -> Self:
        """Start asking."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="forebay-lag", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop; waits for a question that is under way."""
        self._closing.set()
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._offsets.close)

    @property
    def recent(self) -> Sequence[LagSnapshot]:
        """The last few snapshots, the newest last."""
        return self._recent

    async def fresh(self) -> LagSnapshot:
        """A snapshot of the last seconds, or the next one. Raises LogUnavailable."""
        try:
            async with asyncio.timeout(FRESH_SECONDS + REQUEST_SECONDS):
                while not self._recent or _age(self._recent[-1]) > FRESH_SECONDS:
                    await self._arrived.wait()
        except TimeoutError as error:
            raise LogUnavailable("the log does not tell its offsets") from error
        return self._recent[-1]

    def _run(self) -> None:
        answers = True
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                self._hand_over(self._offsets.look_up())
                answers = True
            except (confluent_kafka.KafkaException, LogUnavailable) as error:
                # Said once: it may go on for as long as the broker is away.
                log.log(logging.WARNING if answers else logging.DEBUG, "no offsets: %s", error)
                answers = False
            self._closing.wait(began + INTERVAL_SECONDS - time.monotonic())

    def _hand_over(self, snapshot: LagSnapshot) -> None:
        if not self._closing.is_set():
            self._loop.call_soon_threadsafe(self._take, snapshot)

    def _take(self, snapshot: LagSnapshot) -> None:
        self._recent.append(snapshot)
        self._on_snapshot(snapshot)
        self._arrived.set()
        self._arrived = asyncio.Event()


class _Offsets:
    """What the broker is asked; its calls block.

    It asks as consumers do that never join their groups: the client for administrators ends the
    whole process by an assertion where a broker goes away in the middle of a question
    (librdkafka 2.16, `rd_kafka_enq_once_del_source_return`).
    """

    def __init__(self, settings: KafkaSettings, groups: Mapping[str, Sequence[str]]) -> None:
        self._names = {group: tuple(topics) for group, topics in groups.items()}
        self._consumers = {
            group: confluent_kafka.Consumer(
                {**reader_options(settings, FETCH_WAIT_MS), "group.id": group}
            )
            for group in groups
        }
        self._topics = next(iter(self._consumers.values()))
        self._partitions: dict[str, tuple[TopicPartition, ...]] = {}  # of groups, once known

    def close(self) -> None:
        """Let go of the connections."""
        for consumer in self._consumers.values():
            consumer.close()

    def look_up(self) -> LagSnapshot:
        """Everything at once. Raises KafkaException or LogUnavailable."""
        partitions = self._known_partitions()
        committed = {group: self._committed(group, places) for group, places in partitions.items()}
        every = {place for places in partitions.values() for place in places}
        begins, ends = self._bounds(every, OFFSET_BEGINNING), self._bounds(every, OFFSET_END)
        groups = {
            group: {
                # What retention took away is not ahead of anybody.
                place: PartitionLag(max(offset, begins[place]), ends[place])
                for place, offset in offsets.items()
            }
            for group, offsets in committed.items()
        }
        return LagSnapshot(time.monotonic(), groups)

    def _known_partitions(self) -> Mapping[str, tuple[TopicPartition, ...]]:
        if not self._partitions:
            topics = self._topics.list_topics(timeout=REQUEST_SECONDS).topics
            if any(name not in topics for names in self._names.values() for name in names):
                raise LogUnavailable(NO_TOPICS)
            # Partition counts never change.
            self._partitions = {
                group: tuple(
                    TopicPartition(name, number)
                    for name in names
                    for number in topics[name].partitions
                )
                for group, names in self._names.items()
            }
        return self._partitions

    def _committed(self, group: str, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Committed offsets; negative where the group never committed."""
        native = [confluent_kafka.TopicPartition(place.topic, place.partition) for place in places]
        found = {}
        for each in self._consumers[group].committed(native, timeout=REQUEST_SECONDS):
            if each.error is not None:
                raise confluent_kafka.KafkaException(each.error)
            found[TopicPartition(each.topic, each.partition)] = each.offset
        return found

    def _bounds(self, places: Iterable[TopicPartition], which: int) -> dict[TopicPartition, int]:
        """Where partitions begin or end. One question for all: there are tens of them."""
        # In place of a time, the protocol takes these two for the first and the next offset.
        wanted = [
            confluent_kafka.TopicPartition(each.topic, each.partition, which) for each in places
        ]
        found = {}
        for each in self._topics.offsets_for_times(wanted, timeout=REQUEST_SECONDS):
            if each.error is not None:
                raise confluent_kafka.KafkaException(each.error)
            found[TopicPartition(each.topic, each.partition)] = each.offset
        return found


def _age(snapshot: LagSnapshot) -> float:
    return time.monotonic() - snapshot.taken_at
