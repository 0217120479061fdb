"""SubmitQuery over HTTP, one connection per caller: the same calls for edge and baseline."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from forebay.client.request_id import RequestIds
from forebay_benchmarks.child import AsyncMeasure
from forebay_benchmarks.http_connection import Endpoint, HttpConnection
from forebay_benchmarks.load import closed_loop
from forebay_benchmarks.samples import Sample
from forebay_benchmarks.submit_load import QUESTION


@dataclass(frozen=True)
class HttpSubmitLoad:
    """Whom to call, and over how many connections."""

    endpoint: Endpoint
    connections: int


@asynccontextmanager
async def http_submit_load(config: HttpSubmitLoad) -> AsyncIterator[AsyncMeasure]:
    """Yield what measures SubmitQuery calls."""
    ids = RequestIds()
    head = config.endpoint.head("POST", "/v1/queries", "Content-Type: application/json\r\n")
    idle = [await HttpConnection.open(config.endpoint) for _ in range(config.connections)]

    async def call() -> float:
        connection = idle.pop()  # there are as many callers as connections
        body = json.dumps({"text": QUESTION, "requestId": ids.new()}).encode()
        began = perf_counter()
        try:
            await connection.post(head, body)
        finally:
            idle.append(connection)
        return perf_counter() - began

    async def measure(seconds: float) -> Sample:
        return await closed_loop(call, callers=config.connections, seconds=seconds)

    try:
        yield measure
    finally:
        for connection in idle:
            connection.close()
