"""Ask over gRPC: askers who each put one question after another and read its whole answer."""

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

import grpc.aio

from forebay.client.request_id import RequestIds
from forebay.query.v1 import AnswerEvent, AskRequest, QueryServiceStub, SubmitQueryRequest
from forebay_benchmarks.child import AsyncMeasure
from forebay_benchmarks.errors import CallFailed
from forebay_benchmarks.load import closed_loop
from forebay_benchmarks.samples import Sample
from forebay_benchmarks.submit_load import own_connection

_ANSWER_SECONDS = 20.0


@dataclass(frozen=True)
class AskLoad:
    """Whom to ask, as whom and what.

    The clock stops at the first event of the kind `until` (a name of AnswerEvent's oneof), and
    `model_seconds`, the model's own share, are taken off. Askers begin over `ramp_seconds`.
    """

    target: str
    token: str
    question: str
    mode: SubmitQueryRequest.Mode.ValueType
    until: str
    askers: int
    model_seconds: float = 0.0
    ramp_seconds: float = 0.0


@asynccontextmanager
async def ask_load(config: AskLoad) -> AsyncIterator[AsyncMeasure]:
    """Yield what measures answers."""
    ids = RequestIds()
    metadata = (("authorization", f"Bearer {config.token}"),)
    async with own_connection(config.target) as channel:
        stub = QueryServiceStub(channel)

        async def call() -> float:
            query = SubmitQueryRequest(text=config.question, request_id=ids.new(), mode=config.mode)
            began = perf_counter()
            events = stub.Ask(AskRequest(query=query), timeout=_ANSWER_SECONDS, metadata=metadata)
            try:
                reached = await _time_of(events, config.until)
            except grpc.aio.AioRpcError as error:
                raise CallFailed(error.details()) from error
            return reached - began - config.model_seconds

        async def measure(seconds: float) -> Sample:
            return await closed_loop(
                call, callers=config.askers, seconds=seconds, ramp_seconds=config.ramp_seconds
            )

        yield measure


async def _time_of(events: AsyncIterable[AnswerEvent], until: str) -> float:
    """Read a whole answer; the time of the first event of a kind. Raises CallFailed."""
    reached: float | None = None
    kind = None
    async for event in events:
        kind = event.WhichOneof("event")
        if reached is None and kind == until:
            reached = perf_counter()
    if kind != "completed" or reached is None:
        raise CallFailed(f"the answer ended with {kind}")
    return reached
