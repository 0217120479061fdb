"""The baseline of SubmitQuery: a gRPC handler that awaits two acknowledgements, and no more."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc.aio

from forebay.query.v1 import Query
from forebay_benchmarks.bare_kafka import BareProducer, RecordShape
from forebay_benchmarks.child import AsyncMeasure

_SERVICE = "forebay.query.v1.QueryService"


@dataclass(frozen=True)
class BareEdge:
    """Where it serves, and which records it writes for each call."""

    address: str
    kafka: Mapping[str, str]
    records: tuple[tuple[str, RecordShape], ...]


@asynccontextmanager
async def bare_edge(config: BareEdge) -> AsyncIterator[AsyncMeasure | None]:
    """Serve until the parent closes; measures nothing."""
    producer = BareProducer(config.kafka)
    write = two_writes(producer, config.records)
    answer = Query(name="queries/bare", state=Query.STATE_QUEUED).SerializeToString()

    async def submit(_request: bytes, _context: object) -> bytes:
        await write()
        return answer

    server = grpc.aio.server()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(submit)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(_SERVICE, {"SubmitQuery": handler}),)
    )
    server.add_insecure_port(config.address)
    await server.start()
    try:
        yield None
    finally:
        await server.stop(None)
        await producer.close()


def two_writes(
    producer: BareProducer, records: tuple[tuple[str, RecordShape], ...]
) -> Callable[[], Awaitable[None]]:
    """What writes a record of each shape to its topic, and returns once all are acknowledged."""
    numbers = itertools.count()

    async def write() -> None:
        number = str(next(numbers)).encode()
        await asyncio.gather(
            *(
                producer.send(
                    topic,
                    number.rjust(shape.key, b"0"),
                    b"v" * shape.value,
                    shape.headers_to_send(),
                )
                for topic, shape in records
            )
        )

    return write
