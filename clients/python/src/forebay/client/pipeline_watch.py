"""The status of the pipeline, again and again, over as many streams as it takes."""

import asyncio
from collections.abc import AsyncGenerator

import grpc.aio

from forebay.client.calls import Calls
from forebay.client.duration import duration
from forebay.client.errors import ForebayError, Unavailable
from forebay.client.failure import failure_of_call
from forebay.client.retry import Retries
from forebay.pipeline.v1 import PipelineStatus, WatchPipelineRequest

_LATE_SECONDS = 10.0  # a status that is later than this behind its interval does not come


class PipelineWatch:
    """Follows the pipeline until its reader has seen enough.

    A stream that breaks, ends or falls silent is opened again: each status is whole, so there
    is nothing to resume behind.
    """

    def __init__(
        self,
        calls: Calls,
        method: "grpc.aio.UnaryStreamMultiCallable[WatchPipelineRequest, PipelineStatus]",
        interval: float,
    ) -> None:
        self._calls = calls
        self._method = method
        self._request = WatchPipelineRequest(interval=duration(interval))
        self._patience = interval + _LATE_SECONDS

    async def statuses(self) -> AsyncGenerator[PipelineStatus]:
        """One status after the other; never ends by itself.

        Raises:
            ForebayError: no stream can be had any more.
        """
        retries = self._calls.retries(None)
        while True:
            metadata = await self._calls.metadata()
            call = self._method(self._request, metadata=metadata)
            try:
                while (status := await self._next(call, retries)) is not None:
                    yield status
                failure: ForebayError = Unavailable("the stream ended")
            except TimeoutError:
                failure = Unavailable(f"no status for {self._patience:g} s")
            except grpc.aio.AioRpcError as error:
                failure = failure_of_call(error)
            finally:
                call.cancel()
            await self._calls.recover(failure, retries)

    async def _next(
        self,
        call: "grpc.aio.UnaryStreamCall[WatchPipelineRequest, PipelineStatus]",
        retries: Retries,
    ) -> PipelineStatus | None:
        status = await asyncio.wait_for(call.read(), self._patience)
        if not isinstance(status, PipelineStatus):
            return None
        retries.progressed()
        return status
