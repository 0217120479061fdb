"""One call over gRPC and over HTTP, and what was refused as a google.rpc.Status."""

from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import grpc.aio
import httpx
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from forebay_server.governance.authorisation import method_path
from forebay_server.http.bindings import Binding

from .calls import status_of
from .http_forms import http_form

# google/rpc/code.proto
STATUSES = {3: 400, 5: 404, 7: 403, 8: 429, 9: 400, 10: 409, 12: 501, 13: 500, 14: 503, 16: 401}
Headers = list[tuple[str, str]]


class Wires(Protocol):
    """The two ways to one edge."""

    @property
    def http(self) -> httpx.AsyncClient: ...

    @property
    def channel(self) -> grpc.aio.Channel: ...


@dataclass(frozen=True)
class Refusal:
    """A refusal as its client sees it; `status` is HTTP's, or the one that gRPC's code maps to."""

    status: int
    body: dict[str, Any]

    @property
    def reason(self) -> str:
        [info] = [each for each in self.body["details"] if each["@type"].endswith("ErrorInfo")]
        return str(info["reason"])

    @property
    def metadata(self) -> dict[str, str]:
        [info] = [each for each in self.body["details"] if each["@type"].endswith("ErrorInfo")]
        return dict(info.get("metadata", {}))


async def over_grpc(
    edge: Wires, served: MethodDescriptor, message: Message, headers: Headers
) -> Refusal:
    # On the wire a unary call is a stream of one message: one kind of stub serves all methods.
    call = edge.channel.stream_stream(method_path(served))(metadata=tuple(headers))
    # A write into a stream that the server has ended hides its status (grpc/grpc issue 36066).
    if not served.client_streaming:
        await call.write(message.SerializeToString())
        await call.done_writing()
    with pytest.raises(grpc.RpcError) as refused:
        await read_to_end(call)
    body = MessageToDict(status_of(refused.value))
    return Refusal(STATUSES[body["code"]], body)


async def read_to_end(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def over_http(edge: Wires, binding: Binding, message: Message, headers: Headers) -> Refusal:
    form = http_form(binding, message)
    encoded = [(name, value.encode("latin-1")) for name, value in headers]
    answer = await edge.http.request(
        form.method, form.path, params=form.parameters, json=form.body, headers=encoded
    )
    return refusal_of(answer)


def refusal_of(answer: httpx.Response) -> Refusal:
    return Refusal(answer.status_code, answer.json())


def empty(served: MethodDescriptor) -> Message:
    """The request of a method, without a field."""
    message: Message = GetMessageClass(served.input_type)()
    return message
