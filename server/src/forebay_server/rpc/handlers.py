"""Plain service classes as gRPC handlers.

A service has one method per method of the contract, in snake case: `(call, request)` to a
response for unary methods, to an asynchronous generator for server streams, and `(call, requests)`
to an asynchronous generator for bidirectional ones, whose requests come as `Judged`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from forebay_server.answers.errors import ReaderTooSlow
from forebay_server.errors import EdgeError, FieldInvalid, MethodUnknown, Violation
from forebay_server.governance.authorisation import method_path
from forebay_server.governance.judged import Judged
from forebay_server.rpc.gate import Context, Gate

# How long a reader may take nothing of what is sent to it. Its buffers hold megabytes by then; a
# phone that changes networks is back in less, or resumes at its cursor.
SEND_SECONDS = 30.0

Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
Parse: TypeAlias = Callable[[bytes], Message]


class MethodWithoutImplementation(Exception):
    """A service lacks a method that the contract promises."""

    def __init__(self, service: object, name: str) -> None:
        super().__init__(f"{type(service).__name__} does not implement {name}")


def service_handlers(
    contract: ServiceDescriptor, service: object, gate: Gate
) -> grpc.GenericRpcHandler:
    """The handlers of all methods of a service; MethodWithoutImplementation for a missing one."""
    handlers = {
        served.name: _handler(served, implementation(service, served), gate)
        for served in contract.methods
    }
    return grpc.method_handlers_generic_handler(contract.full_name, handlers)


class UnknownMethods(grpc.GenericRpcHandler):
    """Answers every method that no service has; to be registered last."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """A handler that refuses, for clients that stream and clients that do not."""
        del handler_call_details
        return grpc.stream_stream_rpc_method_handler(self._refuse)

    async def _refuse(self, requests: AsyncIterator[bytes], context: Context) -> None:
        del requests
        await self._gate.refuse(MethodUnknown(), context)


def implementation(service: object, served: MethodDescriptor) -> Callable[..., Any]:
    """The service's method for a method of the contract, or MethodWithoutImplementation."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", served.name).lower()
    found = getattr(service, name, None)
    if not callable(found):
        raise MethodWithoutImplementation(service, name)
    return found  # type: ignore[no-any-return]


def _handler(served: MethodDescriptor, run: Callable[..., Any], gate: Gate) -> Handler:
    # Requests stay bytes until their caller is admitted: strangers do not make the edge parse.
    path, parse = method_path(served), _parser(served)
    if served.client_streaming:
        return grpc.stream_stream_rpc_method_handler(_both_streams(path, run, parse, gate))
    if served.server_streaming:
        return grpc.unary_stream_rpc_method_handler(_server_stream(path, run, parse, gate))
    return grpc.unary_unary_rpc_method_handler(_unary(path, run, parse, gate))


def _parser(served: MethodDescriptor) -> Parse:
    request_type = GetMessageClass(served.input_type)

    def parse(data: bytes) -> Message:
        try:
            return request_type.FromString(data)
        except DecodeError as error:
            broken = Violation("", "wire_format", f"not a {served.input_type.full_name}")
            raise FieldInvalid(broken) from error

    return parse


def _unary(
    path: str, run: Callable[..., Awaitable[Message]], parse: Parse, gate: Gate
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def handle(data: bytes, context: Context) -> bytes:
        response = b""
        async with gate.admitted(path, context) as call:
            request = gate.request(call, parse(data))
            response = (await run(call, request)).SerializeToString()
        return response  # noqa: RET504 the gate may end the body early

    return handle


def _server_stream(
    path: str, run: Callable[..., AsyncGenerator[Message]], parse: Parse, gate: Gate
) -> Callable[[bytes, Context], Awaitable[None]]:
    async def handle(data: bytes, context: Context) -> None:
        async with gate.admitted(path, context) as call:
            await _write_all(run(call, gate.request(call, parse(data))), context)

    return handle


def _both_streams(
    path: str, run: Callable[..., AsyncGenerator[Message]], parse: Parse, gate: Gate
) -> Callable[[AsyncIterator[bytes], Context], Awaitable[None]]:
    def judged(data: bytes) -> Judged[Message]:
        message = parse(data)
        try:
            return Judged(gate.checked(message))
        except EdgeError as refusal:
            return Judged(message, refusal)

    async def handle(incoming: AsyncIterator[bytes], context: Context) -> None:
        async with gate.admitted(path, context) as call:
            requests = (judged(data) async for data in incoming)
            await _write_all(run(call, requests), context)

    return handle


async def _write_all(responses: AsyncGenerator[Message], context: Context) -> None:
    async with aclosing(responses):
        async for response in responses:
            # Awaited one by one: a reader that does not read stops the service, not the memory.
            await _write(response.SerializeToString(), context)


async def _write(data: bytes, context: Context) -> None:
    # A cancellation from outside passes through: only this timeout becomes a refusal.
    limit = asyncio.timeout(SEND_SECONDS)
    try:
        async with limit:
            await context.write(data)
    except TimeoutError as error:
        if limit.expired():
            raise ReaderTooSlow from error
        raise
