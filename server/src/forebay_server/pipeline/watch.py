"""The status of the pipeline, once or again and again."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from forebay.pipeline.v1 import PipelineStatus, WatchPipelineRequest
from forebay_server.acknowledgement import acknowledged
from forebay_server.governance.caller import Call
from forebay_server.governance.standing import Standing
from forebay_server.pipeline.status import PipelineStatusReader

DEFAULT_SECONDS = 2.0


class PipelineWatch:
    """Shows callers the status for as long as they may see it."""

    def __init__(self, status: PipelineStatusReader, standing: Standing) -> None:
        self._status = status
        self._standing = standing

    async def now(self, call: Call) -> PipelineStatus:
        """The status of this moment. Raises LogUnavailable within the call's deadline."""
        async with acknowledged(call):
            return await self._status.read()

    async def follow(
        self, call: Call, request: WatchPipelineRequest
    ) -> AsyncGenerator[PipelineStatus, None]:
        """The status now and after each interval.

        Raises LogUnavailable, and what the caller has lost meanwhile.
        """
        seconds = DEFAULT_SECONDS
        if request.HasField("interval"):
            seconds = request.interval.ToNanoseconds() / 1e9
        while True:
            yield await self._status.read()
            await self._standing.pause(call.caller, seconds)
