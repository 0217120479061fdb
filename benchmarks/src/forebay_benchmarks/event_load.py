"""Events of many answers, from the record in the log to the client: all in one process, one clock.

The same load drives the edge and its baseline.
"""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from forebay_benchmarks.answer_records import Answer
from forebay_benchmarks.bare_kafka import BareProducer
from forebay_benchmarks.child import AsyncMeasure
from forebay_benchmarks.http_connection import Endpoint, HttpConnection
from forebay_benchmarks.samples import Sample

_SEQUENCE = re.compile(rb'"sequence": ?"?(\d+)')
_TICK_SECONDS = 0.005
_LOST_SECONDS = 10.0


@dataclass(frozen=True)
class EventLoad:
    """Whose answers are read where, and how their records are written.

    Every answer has one reader. `per_second` is the rate of records of all answers together;
    0 stands for bursts of `burst` records of each answer at once, one burst after another.
    """

    endpoint: Endpoint
    kafka: Mapping[str, str]
    topic: str
    answers: tuple[Answer, ...]
    per_second: float
    burst: int = 50


@asynccontextmanager
async def event_load(config: EventLoad) -> AsyncIterator[AsyncMeasure]:
    """Open all streams and the attempts of all answers; yield what measures deliveries."""
    producer = BareProducer(config.kafka)
    load = _Load(config, producer)
    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(load.read(number)) for number in range(len(config.answers))]
        await load.opened()
        yield load.in_bursts if not config.per_second else load.at_a_rate
        for reader in readers:
            reader.cancel()
    await producer.close()


class _Load:
    """What was written, and what has arrived of it."""

    def __init__(self, config: EventLoad, producer: BareProducer) -> None:
        self._config = config
        self._producer = producer
        self._sequences = [0] * len(config.answers)
        self._sent: dict[tuple[int, int], float] = {}
        self._latencies: list[float] = []
        self._empty = asyncio.Event()
        self._streams = 0
        self._begun = asyncio.Event()

    async def opened(self) -> None:
        """Return once every reader has its stream and every attempt is open."""
        await self._begun.wait()
        await asyncio.gather(*(self._write(number) for number in range(len(self._sequences))))
        self._sent.clear()

    async def read(self, number: int) -> None:
        """Read one answer."""
        path = f"/v1/{self._config.answers[number].query}:stream"
        connection = await HttpConnection.open(self._config.endpoint)
        lines = await connection.stream(self._config.endpoint.head("GET", path))
        self._streams += 1
        if self._streams == len(self._sequences):
            self._begun.set()
        try:
            async for line in lines:
                if line.startswith(b"data:") and (found := _SEQUENCE.search(line)):
                    self._arrived(number, int(found[1]))
        finally:
            connection.close()

    async def at_a_rate(self, seconds: float) -> Sample:
        """Write so many records a second for that time."""
        began = perf_counter()
        numbers = itertools.cycle(range(len(self._sequences)))
        written = 0
        while (passed := perf_counter() - began) < seconds:
            due = int(passed * self._config.per_second) - written
            for number in itertools.islice(numbers, due):
                self._write(number)
            written += due
            await asyncio.sleep(_TICK_SECONDS)
        return await self._sample(seconds)

    async def in_bursts(self, seconds: float) -> Sample:
        """Write one burst after another, each once the one before has arrived."""
        began = perf_counter()
        while perf_counter() - began < seconds and not self._sent:
            for _ in range(self._config.burst):
                for number in range(len(self._sequences)):
                    self._write(number)
            await self._all_arrived()
        return await self._sample(perf_counter() - began)

    def _write(self, number: int) -> asyncio.Future[None]:
        answer = self._config.answers[number]
        self._sequences[number] += 1
        sequence = self._sequences[number]
        self._sent[number, sequence] = perf_counter()
        self._empty.clear()
        return asyncio.ensure_future(
            self._producer.send(
                self._config.topic,
                answer.query.encode(),
                answer.record(sequence),
                answer.headers(),
            )
        )

    def _arrived(self, number: int, sequence: int) -> None:
        sent = self._sent.pop((number, sequence), None)
        if sent is None:
            return
        self._latencies.append(perf_counter() - sent)
        if not self._sent:
            self._empty.set()

    async def _all_arrived(self) -> None:
        try:
            async with asyncio.timeout(_LOST_SECONDS):
                await self._empty.wait()
        except TimeoutError:
            return

    async def _sample(self, seconds: float) -> Sample:
        await self._all_arrived()
        lost, latencies = len(self._sent), tuple(self._latencies)
        self._sent.clear()
        self._latencies.clear()
        return Sample(seconds, latencies, lost, "an event that never came" if lost else "")
