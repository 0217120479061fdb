"""Closed loops: so many callers, each of whom calls again as soon as the last call has ended."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from forebay_benchmarks.errors import CallFailed
from forebay_benchmarks.samples import Sample

Call = Callable[[], Awaitable[float]]


@dataclass
class _Window:
    """Counts what ends between two moments of the loop's time."""

    begin: float
    end: float
    latencies: list[float] = field(default_factory=list)
    failures: int = 0
    failure: str = ""

    def counts(self, now: float) -> bool:
        return self.begin <= now < self.end


async def closed_loop(
    call: Call, *, callers: int, seconds: float, ramp_seconds: float = 0.0
) -> Sample:
    """Let `callers` call for `seconds`; `call` returns the latency, in seconds, that counts.

    Callers begin spread over `ramp_seconds`, before the round, so that calls of equal length do
    not march in step. Raises what `call` raises, except CallFailed, which is counted.
    """
    begin = asyncio.get_running_loop().time() + ramp_seconds
    window = _Window(begin, begin + seconds)
    async with asyncio.TaskGroup() as group:
        for number in range(callers):
            group.create_task(_caller(call, window, ramp_seconds * number / callers))
    return Sample(seconds, tuple(window.latencies), window.failures, window.failure)


async def _caller(call: Call, window: _Window, delay: float) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(delay)
    while loop.time() < window.end:
        try:
            latency = await call()
        except CallFailed as failure:
            window.failures += 1
            window.failure = str(failure)
            continue
        if window.counts(loop.time()):
            window.latencies.append(latency)
