"""When the records at some offsets were logged, without reading them.

The log tells the first offset at or behind a time to everybody who may see its offsets; the time
of an offset is searched for. So nobody needs the right to read records, or has to fetch them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Self

import confluent_kafka

from forebay_kafka.polling import reader_options
from forebay_kafka.settings import KafkaSettings

LOOK_UP_SECONDS = 2.0  # for all that are asked together: 10 to 40 questions of a millisecond
FIRST_AGE_MS = 1_000
EXACT_MS = 250  # of what is seconds old
EXACT_SHARE = 32  # and a thirty-second of what is older
FETCH_WAIT_MS = 50  # nothing is fetched
MAX_REMEMBERED = 10_000  # partitions of a large installation, several times over

log = logging.getLogger(__name__)


class RecordPlace(NamedTuple):
    """An offset of a partition."""

    topic: str
    partition: int
    offset: int


@dataclass
class _Search:
    """Between which ages a record lies, in milliseconds before `now_ms`."""

    place: RecordPlace
    now_ms: int
    young: int = 0
    old: int | None = None

    @property
    def next_age(self) -> int:
        if self.old is None:
            return min(max(FIRST_AGE_MS, 4 * self.young), self.now_ms)
        return (self.young + self.old) // 2

    @property
    def is_over(self) -> bool:
        if self.old is None:
            return False
        return self.old - self.young <= max(EXACT_MS, self.old // EXACT_SHARE)

    def learn(self, found: int) -> None:
        """Narrow by the first offset that is at most `next_age` old, negative for none."""
        if 0 <= found <= self.place.offset or self.next_age == self.now_ms:
            self.old = self.next_age
        else:
            self.young = self.next_age


class RecordTimes:
    """Finds the times of records; `async with RecordTimes(settings) as times`."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer: confluent_kafka.Consumer | None = None
        # One search at a time: they share the consumer.
        self._searching = ThreadPoolExecutor(1, thread_name_prefix="forebay-record-times")
        self._known: dict[RecordPlace, int] = {}

    async def __aenter__(self) -> Self:
        """Nothing yet: the consumer is made when it is needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait for a search that is under way and close the consumer."""
        await asyncio.to_thread(self._searching.shutdown, cancel_futures=True)
        if self._consumer is not None:
            await asyncio.to_thread(self._consumer.close)

    async def of(self, places: Collection[RecordPlace]) -> Mapping[RecordPlace, int]:
        """The times of the records at places, in milliseconds since 1970.

        They are off by a quarter of a second, or by a thirty-second of their age where that is
        more; where compaction took a record away, the time is that of one in front of it. What is
        not found within seconds is left out.
        """
        wanted = {place for place in places if place not in self._known}
        if wanted:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._searching, self._find, wanted)
        return {place: self._known[place] for place in places if place in self._known}

    def _find(self, wanted: Iterable[RecordPlace]) -> None:
        if len(self._known) > MAX_REMEMBERED:
            self._known.clear()
        if self._consumer is None:
            self._consumer = confluent_kafka.Consumer(reader_options(self._settings, FETCH_WAIT_MS))
        deadline = time.monotonic() + LOOK_UP_SECONDS
        try:
            for places in _apart(wanted):
                self._find_apart(self._consumer, places, deadline)
        except confluent_kafka.KafkaException as error:
            log.info("looking times up: %s", error)

    def _find_apart(
        self,
        consumer: confluent_kafka.Consumer,
        places: Iterable[RecordPlace],
        deadline: float,
    ) -> None:
        now_ms = time.time_ns() // 1_000_000
        searches = {(p.topic, p.partition): _Search(p, now_ms) for p in places}
        while searches and (left := deadline - time.monotonic()) > 0:
            asked = [
                confluent_kafka.TopicPartition(*where, now_ms - search.next_age)
                for where, search in searches.items()
            ]
            for each in consumer.offsets_for_times(asked, timeout=left):
                search = searches[each.topic, each.partition]
                if each.error is not None:
                    del searches[each.topic, each.partition]
                    continue
                search.learn(each.offset)
                if search.is_over and search.old is not None:
                    self._known[search.place] = now_ms - search.old
                    del searches[each.topic, each.partition]


def _apart(places: Iterable[RecordPlace]) -> list[list[RecordPlace]]:
    """Lists of places, no two of a list in one partition: a question names each but once."""
    layers: dict[int, list[RecordPlace]] = defaultdict(list)
    seen: dict[tuple[str, int], int] = defaultdict(int)
    for place in places:
        where = (place.topic, place.partition)
        layers[seen[where]].append(place)
        seen[where] += 1
    return list(layers.values())
