"""Calls of generated stubs over HTTP: JSON and Server-Sent Events in gRPC's place.

A thin client by the contract alone. What comes back is what gRPC would bring, the same messages
and the same google.rpc.Status, so that one test says what both transports do.
"""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Self

import grpc
import grpc.aio
import httpx
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status.rpc_status import GRPC_DETAILS_METADATA_KEY as DETAILS_KEY
from httpx_sse import EventSource, ServerSentEvent

from .http_form import http_form

CODES = {code.value[0]: code for code in grpc.StatusCode}
# As google/rpc/code.proto names them; the reasons that DESIGN and RFC 9110 single out first.
HTTP_OF_REASON = {"DOCUMENT_TOO_LARGE": 413}
HTTP_OF_CODE = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
# A reader that takes nothing is sent nothing: buffers of megabytes hide that.
SMALL_BUFFER = (socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
LONGEST_SECONDS = 600.0  # of silence; calls have deadlines of their own
UNKNOWN_PATH = 404  # where gRPC says UNIMPLEMENTED


class HttpChannel:
    """In a gRPC channel's place, for the methods that HTTP has."""

    def __init__(self, address: str) -> None:
        # As many connections as calls: HTTP/1.1 has one call at a time on each.
        transport = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=None), socket_options=[SMALL_BUFFER]
        )
        self._client = httpx.AsyncClient(
            base_url=f"http://{address}", transport=transport, timeout=LONGEST_SECONDS
        )
        self._open: set[EventCall] = set()

    def unary_unary(self, path: str, *_: Any, **__: Any) -> Any:
        method = method_of(path)

        def call(
            request: Any,
            timeout: float | None = None,
            metadata: Iterable[tuple[str, str]] | None = None,
        ) -> Coroutine[Any, Any, Message]:
            return self._answer(method, request, timeout, metadata or ())

        return call

    def unary_stream(self, path: str, *_: Any, **__: Any) -> Any:
        method = method_of(path)

        def call(
            request: Message,
            timeout: float | None = None,
            metadata: Iterable[tuple[str, str]] | None = None,
        ) -> EventCall:
            sent = self._request(method, request, metadata or ())
            opened = EventCall(self._client, method, sent, timeout)
            self._open.add(opened)
            return opened

        return call

    def stream_stream(self, path: str, *_: Any, **__: Any) -> Any:
        """HTTP has no streams of requests; there is no such call to make."""
        return None

    async def close(self, grace: float | None = None) -> None:
        for call in self._open:
            await call.ended()
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _answer(
        self,
        method: MethodDescriptor,
        request: Any,
        timeout: float | None,  # noqa: ASYNC109 gRPC's own parameter
        metadata: Iterable[tuple[str, str]],
    ) -> Message:
        try:
            async with asyncio.timeout(timeout):
                answer = await self._client.send(self._request(method, request, metadata))
        except TimeoutError as error:
            raise broken(grpc.StatusCode.DEADLINE_EXCEEDED, error) from error
        except httpx.TransportError as error:
            raise broken(grpc.StatusCode.UNAVAILABLE, error) from error
        if answer.status_code != 200:
            raise refusal(answer)
        message: Message = GetMessageClass(method.output_type)()
        return ParseDict(json_of(answer), message)

    def _request(
        self, method: MethodDescriptor, request: Message, metadata: Iterable[tuple[str, str]]
    ) -> httpx.Request:
        form = http_form(method, request)
        accept = "text/event-stream" if method.server_streaming else "application/json"
        # White space around a value is none of it (RFC 9110, section 5.5).
        headers = [("Accept", accept), *((name, value.strip()) for name, value in metadata)]
        return self._client.build_request(
            form.verb, form.path, params=form.parameters, json=form.body, headers=headers
        )


class EventCall:
    """In the place of a gRPC call whose answer is a stream."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        method: MethodDescriptor,
        request: httpx.Request,
        timeout: float | None,
    ) -> None:
        self._client = client
        self._method = method
        self._request = request
        loop = asyncio.get_running_loop()
        self._deadline = None if timeout is None else loop.time() + timeout
        self._events = self._received()
        self._ending: asyncio.Task[None] | None = None

    def __aiter__(self) -> AsyncGenerator[Message]:
        return self._events

    async def read(self) -> Any:
        return await anext(self._events, grpc.aio.EOF)

    def cancel(self) -> None:
        """Hang up."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._events.aclose())

    async def ended(self) -> None:
        self.cancel()
        assert self._ending is not None
        await self._ending

    async def _received(self) -> AsyncGenerator[Message]:
        try:
            async with asyncio.timeout_at(self._deadline):
                response = await self._client.send(self._request, stream=True)
            async with aclosing(response):
                if response.status_code == 204:
                    return
                if response.status_code != 200:
                    await response.aread()
                    raise refusal(response)
                assert response.headers["cache-control"] == "no-store"
                async with aclosing(EventSource(response).aiter_sse()) as events:
                    while (event := await self._next(events)) is not None:
                        yield message_of(event, self._method)
        except TimeoutError as error:
            raise broken(grpc.StatusCode.DEADLINE_EXCEEDED, error) from error
        except httpx.TransportError as error:
            raise broken(grpc.StatusCode.UNAVAILABLE, error) from error

    async def _next(self, events: AsyncGenerator[ServerSentEvent]) -> ServerSentEvent | None:
        async with asyncio.timeout_at(self._deadline):
            return await anext(events, None)


def method_of(path: str) -> MethodDescriptor:
    """The method at gRPC's `/package.Service/Method`."""
    service, name = path.removeprefix("/").split("/")
    found: MethodDescriptor = (
        descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    )
    return found


def message_of(event: ServerSentEvent, method: MethodDescriptor) -> Message:
    """The message of one event, whose name and id say what the message says."""
    if event.event == "status":
        raise error_of(ParseDict(event.json(), Status()))
    message: Any = ParseDict(event.json(), GetMessageClass(method.output_type)())
    oneof = method.output_type.oneofs
    assert not oneof or event.event == message.WhichOneof(oneof[0].name)
    assert event.id == getattr(message, "cursor", "")
    return message  # type: ignore[no-any-return]


def refusal(answer: httpx.Response) -> grpc.aio.AioRpcError:
    """The error of an answer, whose HTTP status is that of its google.rpc.Status."""
    status = ParseDict(json_of(answer), Status())
    info = ErrorInfo()
    assert [detail.Unpack(info) for detail in status.details].count(True) == 1
    if info.reason == "METHOD_UNKNOWN":
        expected = UNKNOWN_PATH
    else:
        expected = HTTP_OF_REASON.get(info.reason) or HTTP_OF_CODE[CODES[status.code]]
    assert answer.status_code == expected, answer.text
    assert ("www-authenticate" in answer.headers) >= (answer.status_code == 401)
    assert ("retry-after" in answer.headers) == (answer.status_code in (429, 503))
    return error_of(status)


def json_of(answer: httpx.Response) -> Mapping[str, Any]:
    assert answer.headers["content-type"] == "application/json"
    found: Mapping[str, Any] = json.loads(answer.text)
    return found


def error_of(status: Status) -> grpc.aio.AioRpcError:
    trailers = grpc.aio.Metadata((DETAILS_KEY, status.SerializeToString()))
    return grpc.aio.AioRpcError(
        CODES[status.code], grpc.aio.Metadata(), trailers, details=status.message
    )


def broken(code: grpc.StatusCode, error: Exception) -> grpc.aio.AioRpcError:
    """A call that the server said nothing of."""
    text = f"{type(error).__name__}: {error}"
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=text)
