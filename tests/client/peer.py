"""A server that keeps to the contract and misbehaves on purpose."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from forebay.ingest.v1 import IngestServiceServicer, add_IngestServiceServicer_to_server
from forebay.pipeline.v1 import PipelineServiceServicer, add_PipelineServiceServicer_to_server
from forebay.query.v1 import (
    QueryServiceServicer,
    add_QueryServiceServicer_to_server,
)

Behaviour = Callable[[Any, Any], Any]


def status(
    code: grpc.StatusCode,
    reason: str,
    message: str = "refused",
    *,
    retry_after: float | None = None,
    violations: tuple[tuple[str, str], ...] = (),
    **metadata: str,
) -> Status:
    """A google.rpc.Status as the contract promises it."""
    details: list[Message] = [ErrorInfo(reason=reason, domain="forebay", metadata=metadata)]
    if retry_after is not None:
        delay = Duration()
        delay.FromTimedelta(timedelta(seconds=retry_after))
        details.append(RetryInfo(retry_delay=delay))
    if violations:
        fields = [
            BadRequest.FieldViolation(field=name, description=rule, reason=rule)
            for name, rule in violations
        ]
        details.append(BadRequest(field_violations=fields))
    packed = []
    for detail in details:
        packed.append(AnyMessage())
        packed[-1].Pack(detail)
    return Status(code=code.value[0], message=message, details=packed)


def refuse(refusal: Status) -> Behaviour:
    """A unary or streaming behaviour that ends the call with a status."""

    async def behave(_request: Any, context: Any) -> None:
        await context.abort_with_status(rpc_status.to_status(refusal))

    return behave


def reply(message: Message) -> Behaviour:
    async def behave(_request: Any, _context: Any) -> Message:
        return message

    return behave


def play(*steps: Message | asyncio.Event | None) -> Behaviour:
    """Sends messages; then ends well, with a status, or (None) with a broken connection."""

    async def behave(_request: Any, context: Any) -> None:
        for step in steps:
            match step:
                case Status():
                    await context.abort_with_status(rpc_status.to_status(step))
                case Message():
                    await context.write(step)
                case asyncio.Event():
                    await step.wait()
                case None:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer")

    return behave


@dataclass(frozen=True)
class Call:
    method: str
    request: Any
    token: str


@dataclass
class Peer:
    """What each method does on its first, second… call; the last behaviour stays."""

    target: str = ""
    calls: list[Call] = field(default_factory=list)
    _behaviours: dict[str, list[Behaviour]] = field(default_factory=dict)

    def on(self, method: str, *behaviours: Behaviour) -> None:
        self._behaviours[method] = list(behaviours)

    def requests(self, method: str) -> list[Any]:
        return [call.request for call in self.calls if call.method == method]

    def tokens(self, method: str) -> list[str]:
        return [call.token for call in self.calls if call.method == method]

    def behave(self, method: str, request: Any, context: Any) -> Any:
        metadata = dict(context.invocation_metadata())
        token = metadata.get("authorization", "").removeprefix("Bearer ")
        self.calls.append(Call(method, request, token))
        behaviours = self._behaviours[method]
        behaviour = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
        return behaviour(request, context)


def _scripted(servicer: type, methods: tuple[str, ...], peer: Peer) -> Any:
    def method(name: str) -> Callable[..., Awaitable[Any]]:
        async def handle(_self: Any, request: Any, context: Any) -> Any:
            return await peer.behave(name, request, context)

        return handle

    return type("Scripted", (servicer,), {name: method(name) for name in methods})()


QUERY_METHODS = ("SubmitQuery", "Ask", "StreamAnswer", "GetQuery", "CancelQuery", "GetCaller")
INGEST_METHODS = (
    "IngestDocument",
    "StreamDocuments",
    "GetDocument",
    "ListDocuments",
    "UpdateDocument",
    "DeleteDocument",
)
PIPELINE_METHODS = (
    "GetPipelineStatus",
    "WatchPipeline",
    "ListDeadLetters",
    "RedriveDeadLetters",
    "PurgeDeadLetters",
)


def add_to_server(peer: Peer, server: grpc.aio.Server) -> None:
    add_QueryServiceServicer_to_server(_scripted(QueryServiceServicer, QUERY_METHODS, peer), server)
    documents = _scripted(IngestServiceServicer, INGEST_METHODS, peer)
    add_IngestServiceServicer_to_server(documents, server)
    pipeline = _scripted(PipelineServiceServicer, PIPELINE_METHODS, peer)
    add_PipelineServiceServicer_to_server(pipeline, server)
