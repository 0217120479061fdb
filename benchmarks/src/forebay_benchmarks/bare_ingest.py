"""The baseline of accepted documents: records of the same size and a window of the same width."""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from forebay_benchmarks.bare_kafka import BareProducer, RecordShape
from forebay_benchmarks.child import AsyncMeasure
from forebay_benchmarks.load import closed_loop
from forebay_benchmarks.samples import Sample


@dataclass(frozen=True)
class BareIngest:
    """Where records go and how they look."""

    kafka: Mapping[str, str]
    topic: str
    shape: RecordShape
    window: int


@asynccontextmanager
async def bare_ingest(config: BareIngest) -> AsyncIterator[AsyncMeasure]:
    """Yield what measures acknowledged records."""
    producer = BareProducer(config.kafka)
    numbers = itertools.count()
    value = b"v" * config.shape.value

    async def call() -> float:
        began = perf_counter()
        key = str(next(numbers)).encode().rjust(config.shape.key, b"0")
        await producer.send(config.topic, key, value, config.shape.headers_to_send())
        return perf_counter() - began

    async def measure(seconds: float) -> Sample:
        return await closed_loop(call, callers=config.window, seconds=seconds)

    try:
        yield measure
    finally:
        await producer.close()
