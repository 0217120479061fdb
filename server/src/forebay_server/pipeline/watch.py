"""The status of the pipeline, once or again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from forebay.pipeline.v1 import PipelineStatus, WatchPipelineRequest
from forebay_server.acknowledgement import acknowledged
from forebay_server.clock import Clock, system_clock
from forebay_server.errors import TokenExpired
from forebay_server.governance.caller import Call
from forebay_server.pipeline.status import PipelineStatusReader

DEFAULT_SECONDS = 2.0


class PipelineWatch:
    """Shows callers the status for as long as they may see it."""

    def __init__(self, status: PipelineStatusReader, clock: Clock = system_clock) -> None:
        self._status = status
        self._clock = clock

    async def now(self, call: Call) -> PipelineStatus:
        """The status of this moment. Raises LogUnavailable within the call's deadline."""
        async with acknowledged(call):
            return await self._status.read()

    async def follow(
        self, call: Call, request: WatchPipelineRequest
    ) -> AsyncGenerator[PipelineStatus, None]:
        """The status now and after each interval. Raises LogUnavailable, TokenExpired."""
        seconds = DEFAULT_SECONDS
        if request.HasField("interval"):
            seconds = request.interval.ToNanoseconds() / 1e9
        while True:
            yield await self._status.read()
            await asyncio.sleep(min(seconds, call.caller.expire_time - self._clock()))
            if self._clock() >= call.caller.expire_time:
                raise TokenExpired
