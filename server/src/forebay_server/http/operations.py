"""The methods of the contract as operations: admitted, transcoded, run and answered.

The one place where HTTP calls meet the chain. No operation is written by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2

from forebay.records.v1 import AuditRecord
from forebay_kafka.failure import status_of
from forebay_server.audit.activity import Activity
from forebay_server.errors import EdgeError, EtagMismatch, FieldInvalid, Violation
from forebay_server.governance.authorisation import method_path
from forebay_server.governance.caller import Call
from forebay_server.governance.chain import Chain
from forebay_server.governance.reserved_metadata import require_unreserved
from forebay_server.http.bindings import Binding, bindings_of, stream_of
from forebay_server.http.body_limits import body_limit
from forebay_server.http.connection import ABORT
from forebay_server.http.errors import PathUnknown, PreconditionFailed, VerbUnknown
from forebay_server.http.event_lines import wanted_lines
from forebay_server.http.event_stream import EventStream, SendTimeout
from forebay_server.http.json_text import parse_json
from forebay_server.http.path_templates import routable
from forebay_server.http.rate_limits import rate_limit_headers
from forebay_server.http.replies import Reply, line, message_json
from forebay_server.http.request_headers import (
    accepts_gzip,
    apply_headers,
    is_match,
    wanted_wait,
)
from forebay_server.http.requests import ClientGone, Receive, Request, Scope, Send
from forebay_server.http.transcoding import Transcoder
from forebay_server.limits.allowances import Limit
from forebay_server.metrics.calls import UNKNOWN, CallMeter
from forebay_server.rpc.drain import Drain
from forebay_server.rpc.gate import TRACE_PARENT
from forebay_server.rpc.handlers import implementation

# A body that takes longer outlives tokens and rules: its caller is admitted, and counted, anew.
STALE_SECONDS = 1.0
LOST = frozenset({code_pb2.UNAUTHENTICATED, code_pb2.PERMISSION_DENIED})
BODY_SECONDS = 30.0  # the largest document at 1.1 Mbit/s, as most libraries write it


@dataclass(frozen=True)
class Operation:
    """One binding of one method, ready to be called."""

    binding: Binding
    run: Callable[[Call, Message], Any]
    transcoder: Transcoder
    max_body: int
    follow: Operation | None = None


class Operations:
    """Answers HTTP requests for methods of the contract."""

    def __init__(
        self,
        services: Mapping[ServiceDescriptor, object],
        chain: Chain,
        drain: Drain,
        meter: CallMeter,
    ) -> None:
        self._chain = chain
        self._drain = drain
        self._meter = meter
        self.bindings = bindings_of(services)
        self._operations = {
            binding.operation_id: _operation(binding, services) for binding in self.bindings
        }
        for name, operation in self._operations.items():
            stream = stream_of(operation.binding, self.bindings)
            if stream is not None:
                follow = self._operations[stream.operation_id]
                self._operations[name] = replace(operation, follow=follow)

    async def answer(self, operation_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        operation = self._operations[operation_id]
        request = Request(scope, receive)
        with self._meter.running(method_path(operation.binding.method)) as outcome:
            try:
                if operation.binding.method.server_streaming:
                    await self._stream(operation, request, receive, send)
                else:
                    await self._reply(operation, request, send)
            except Exception as error:
                outcome.code = code_name(error)
                raise

    async def _reply(self, operation: Operation, request: Request, send: Send) -> None:
        with self._following(operation.binding, request) as activity:
            async with self._drain.running():
                call, message = await self._admitted(activity, operation, request)
                waited = wanted_wait(request) if operation.follow is not None else 0
                if operation.follow is not None and waited:
                    await self._wait(operation.follow, call, message, waited)
                response = await _run(operation, call, message, request)
            reply = _reply_of(operation.binding, request, response)
        if waited:
            reply = replace(
                reply, headers={**reply.headers, "Preference-Applied": f"wait={waited}"}
            )
        await reply.send(send, accepts_gzip=accepts_gzip(request))

    async def _stream(
        self, operation: Operation, request: Request, receive: Receive, send: Send
    ) -> None:
        stream: EventStream | None = None
        try:
            with self._following(operation.binding, request) as activity:
                _require_verb(operation.binding, request.scope["method"])
                async with self._drain.running():
                    call, message = await self._admitted(activity, operation, request)
                    lines = wanted_lines(request, operation.binding.method.output_type)
                    stream = EventStream(lines, receive, send)
                    await stream.run(operation.run(call, message))
        except ClientGone:
            raise
        except Exception as error:
            if stream is None or not stream.begun:
                raise
            await _end(stream, error, request)
            raise Ended(error) from error

    def unknown(self, error: EdgeError, request: Request) -> None:
        """Tell meter and audit of a request for what nobody serves."""
        with self._meter.running(UNKNOWN) as outcome:
            outcome.code = code_name(error)
        trace_parent = trace_parent_of(request)
        self._chain.following("", AuditRecord.TRANSPORT_HTTP, trace_parent).refuse(error)

    def _following(self, binding: Binding, request: Request) -> Activity:
        path = method_path(binding.method)
        return self._chain.following(path, AuditRecord.TRANSPORT_HTTP, trace_parent_of(request))

    async def _admitted(
        self, activity: Activity, operation: Operation, request: Request
    ) -> tuple[Call, Message]:
        authorization = request.headers("authorization")
        began = asyncio.get_running_loop().time()
        caller = await self._chain.admit(activity, authorization)
        left = caller.requests_left
        if left is not None:
            request.answer_with(
                rate_limit_headers(
                    Limit.REQUESTS_PER_MINUTE, left.limit, left.remaining, left.reset_in
                )
            )
        require_unreserved(request.header_names)
        message = await _message(operation, request)
        if asyncio.get_running_loop().time() - began > STALE_SECONDS:
            caller = await self._chain.admit(activity, authorization)
        self._chain.validate(message)
        activity.concern(message)
        return Call(caller, None, activity.trace_parent, activity), message

    async def _wait(self, follow: Operation, call: Call, message: Message, seconds: float) -> None:
        """Return when the resource's stream of events has ended, or after that time.

        Raises what the caller has lost meanwhile: it was admitted before the wait.
        """
        # The client is shown nothing of it.
        unseen = replace(call, activity=Activity())
        request = GetMessageClass(follow.binding.method.input_type)()
        for variable in follow.binding.template.variables:
            setattr(request, variable.field, getattr(message, variable.field))
        try:
            async with asyncio.timeout(seconds), aclosing(follow.run(unseen, request)) as events:
                async for _ in events:
                    pass
        except TimeoutError:
            return
        except EdgeError as error:
            # Why else the stream ended is told by the resource itself, which is read next.
            if error.code in LOST:
                raise


def _require_verb(binding: Binding, verb: str) -> None:
    # Routers let HEAD go where GET goes, but a stream has nothing to show without a body.
    if verb == "HEAD" and binding.method.server_streaming:
        raise VerbUnknown([binding.verb])


async def _run(operation: Operation, call: Call, message: Message, request: Request) -> Message:
    try:
        response: Message = await operation.run(call, message)
    except EtagMismatch as error:
        if request.headers("if-match"):
            raise PreconditionFailed(error) from error
        raise
    return response


class Ended(Exception):
    """A stream ended early and its client was told; there is nothing left to answer."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


async def _end(stream: EventStream, error: Exception, request: Request) -> None:
    try:
        if isinstance(error, SendTimeout):
            raise error
        await stream.end(error)
    except SendTimeout:
        # Closing would wait for the client to take what it has not taken.
        request.scope["extensions"][ABORT]()


def code_name(error: Exception) -> str:
    """The name of a failed call's code, as gRPC's calls are counted."""
    if isinstance(error, Ended):
        return code_name(error.error)
    return code_pb2.Code.Name(status_of(error).code)


def trace_of(request: Request) -> str:
    """The client's trace id, empty when it sent no well-formed one."""
    trace_parent = trace_parent_of(request)
    return trace_parent.split(b"-")[1].decode() if trace_parent else ""


def trace_parent_of(request: Request) -> bytes | None:
    """The client's W3C trace context when it sent a well-formed one."""
    values = request.headers("traceparent")
    found = TRACE_PARENT.fullmatch(values[0]) if len(values) == 1 else None
    return values[0].encode() if found else None


async def _message(operation: Operation, request: Request) -> Message:
    body = None
    if operation.transcoder.takes_body:
        content = await request.body(operation.max_body, BODY_SECONDS)
        body = parse_json(content) if content else None
        if content and body is None:
            raise FieldInvalid(Violation("", "message.json", "must be a JSON object"))
    elif request.has_body:
        raise FieldInvalid(Violation("", "body.absent", "the method takes no body"))
    variables = operation.binding.template.match(routable(request.scope["raw_path"]))
    if variables is None:
        raise PathUnknown
    message = operation.transcoder.request(variables, request.scope["query_string"], body)
    apply_headers(message, operation.binding, request)
    return message


def _operation(binding: Binding, services: Mapping[ServiceDescriptor, object]) -> Operation:
    service = services[binding.method.containing_service]
    run = implementation(service, binding.method)
    return Operation(binding, run, Transcoder(binding), body_limit(binding.method.input_type))


def _reply_of(binding: Binding, request: Request, response: Message) -> Reply:
    etag = "" if binding.response_body else getattr(response, "etag", "")
    headers = {"Cache-Control": "no-store"}
    if etag:
        headers = {"Cache-Control": "private, no-cache", "ETag": f'"{etag}"'}
    if binding.verb == "GET" and etag:
        if is_match(request, "if-match", etag) is False:
            raise PreconditionFailed(EtagMismatch(etag))
        if is_match(request, "if-none-match", etag):
            return Reply(304, headers=headers)
    return Reply(200, _shown(binding, response).encode(), headers)


def _shown(binding: Binding, response: Message) -> str:
    if not binding.response_body:
        return message_json(response)
    name = response.DESCRIPTOR.fields_by_name[binding.response_body].json_name
    empty = MessageToDict(type(response)(), always_print_fields_with_no_presence=True)
    return line((empty | MessageToDict(response)).get(name))
