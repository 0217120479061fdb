"""How long a little work takes a processor: the floor of all that calculates on this machine."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from forebay_benchmarks.child import AsyncMeasure
from forebay_benchmarks.samples import Sample

WORK_SECONDS = 0.01  # of a processor: about a third of what indexing a small document takes
PAUSE_SECONDS = 0.01  # as a worker waits for others in between


@asynccontextmanager
async def calculations(niceness: int) -> AsyncIterator[AsyncMeasure]:
    """Yield what measures how long that work takes for a process of this niceness."""
    os.nice(niceness)

    async def measure(seconds: float) -> Sample:
        began, latencies = time.perf_counter(), []
        while time.perf_counter() - began < seconds:
            await asyncio.sleep(PAUSE_SECONDS)
            latencies.append(calculate())
        return Sample(time.perf_counter() - began, tuple(latencies))

    yield measure


def calculate() -> float:
    """The seconds until this thread has had `WORK_SECONDS` of a processor."""
    began, done = time.perf_counter(), time.thread_time() + WORK_SECONDS
    while time.thread_time() < done:
        pass
    return time.perf_counter() - began
