"""What the tests run in child processes, which import it by name."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from forebay_benchmarks.child import AsyncMeasure
from forebay_benchmarks.errors import CallFailed
from forebay_benchmarks.load import closed_loop
from forebay_benchmarks.samples import Sample


@asynccontextmanager
async def every_third_fails(callers: int) -> AsyncIterator[AsyncMeasure]:
    calls = 0

    async def call() -> float:
        nonlocal calls
        calls += 1
        number = calls
        await asyncio.sleep(0.001)
        if number % 3 == 0:
            raise CallFailed("the third")
        return 0.25

    async def measure(seconds: float) -> Sample:
        return await closed_loop(call, callers=callers, seconds=seconds, ramp_seconds=0.01)

    yield measure


@asynccontextmanager
async def tells_its_process(_: int) -> AsyncIterator[AsyncMeasure]:
    async def measure(_: float) -> Sample:
        return Sample(1.0, (float(os.getpid()),))

    yield measure


@asynccontextmanager
async def cannot_start(_: int) -> AsyncIterator[AsyncMeasure]:
    raise SystemExit(3)
    yield
