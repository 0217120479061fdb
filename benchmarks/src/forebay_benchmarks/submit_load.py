"""SubmitQuery over several connections, the same calls for the edge and for its baseline."""

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

import grpc.aio
from google.protobuf.duration_pb2 import Duration

from forebay.client.request_id import RequestIds
from forebay.query.v1 import QueryServiceStub, SubmitQueryRequest
from forebay_benchmarks.child import AsyncMeasure
from forebay_benchmarks.errors import CallFailed
from forebay_benchmarks.load import closed_loop
from forebay_benchmarks.samples import Sample

QUESTION = "Who may open the sluice gates at night, and whom do they have to tell before they do?"
_CALL_SECONDS = 20.0
# Nobody answers while accepting is measured: with less, the queue would have questions refused.
_ANSWER_TIMEOUT = Duration(seconds=600)


@dataclass(frozen=True)
class SubmitLoad:
    """Whom to call, as whom, and how hard."""

    target: str
    token: str
    in_flight: int = 50
    channels: int = 4


@asynccontextmanager
async def submit_load(config: SubmitLoad) -> AsyncIterator[AsyncMeasure]:
    """Yield what measures SubmitQuery calls."""
    ids = RequestIds()
    metadata = (("authorization", f"Bearer {config.token}"),)
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(own_connection(config.target))
            for _ in range(config.channels)
        ]
        stubs = itertools.cycle([QueryServiceStub(channel) for channel in channels])

        async def call() -> float:
            request = SubmitQueryRequest(
                text=QUESTION, request_id=ids.new(), timeout=_ANSWER_TIMEOUT
            )
            began = perf_counter()
            try:
                await next(stubs).SubmitQuery(request, timeout=_CALL_SECONDS, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                raise CallFailed(error.details()) from error
            return perf_counter() - began

        async def measure(seconds: float) -> Sample:
            return await closed_loop(call, callers=config.in_flight, seconds=seconds)

        yield measure


def own_connection(target: str) -> grpc.aio.Channel:
    """A channel that shares its connection with no other."""
    return grpc.aio.insecure_channel(target, options=(("grpc.use_local_subchannel_pool", 1),))
