"""The baseline of a round trip: two hops over two topics between two processes, one at a time."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from forebay_benchmarks.bare_kafka import Hop, RecordShape
from forebay_benchmarks.child import AsyncMeasure
from forebay_benchmarks.errors import BenchmarkError
from forebay_benchmarks.samples import Sample

_LOST_SECONDS = 10.0
_POLL_SECONDS = 0.1  # only how soon the echo notices that it is to leave


@dataclass(frozen=True)
class Hops:
    """Two topics, and the shapes of what goes there and what comes back."""

    kafka: Mapping[str, str]
    there: str
    back: str
    question: RecordShape
    answer: RecordShape


@asynccontextmanager
async def echo(config: Hops) -> AsyncIterator[AsyncMeasure | None]:
    """Answer every record of `there` with one on `back`; measures nothing."""
    leaving = threading.Event()
    hop = Hop(config.kafka, config.there, config.back)

    def answer() -> None:
        while not leaving.is_set():
            if (key := hop.read(_POLL_SECONDS)) is not None:
                hop.write(config.answer, key)

    answering = asyncio.create_task(asyncio.to_thread(answer))
    try:
        yield None
    finally:
        leaving.set()
        await answering
        hop.close()


@asynccontextmanager
async def round_trips(config: Hops) -> AsyncIterator[AsyncMeasure]:
    """Yield what measures round trips."""
    hop = Hop(config.kafka, config.back, config.there)

    def trip(number: int) -> float:
        key = str(number).encode().rjust(config.question.key, b"0")
        began = perf_counter()
        hop.write(config.question, key)
        while (read := hop.read(_LOST_SECONDS)) != key:
            if read is None:
                raise BenchmarkError("a record of the bare hops came to nobody")
        return perf_counter() - began

    def trips(seconds: float) -> Sample:
        began = perf_counter()
        latencies: list[float] = []
        while perf_counter() - began < seconds:
            latencies.append(trip(len(latencies)))
        return Sample(perf_counter() - began, tuple(latencies))

    async def measure(seconds: float) -> Sample:
        return await asyncio.to_thread(trips, seconds)

    try:
        yield measure
    finally:
        hop.close()
