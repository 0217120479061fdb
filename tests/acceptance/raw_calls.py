"""Calls without the client's help, and the one status that a refusal is."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import grpc.aio
import pytest
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from forebay.ingest.v1 import IngestServiceStub
from forebay.query.v1 import QueryServiceStub

DETAILS_KEY = "grpc-status-details-bin"  # where gRPC carries a google.rpc.Status
CALL_SECONDS = 20.0  # a refusal takes milliseconds
Metadata = tuple[tuple[str, str], ...]
MessageT = TypeVar("MessageT", bound=Message)


class Services:
    """The stubs of both services over one channel of either transport."""

    def __init__(self, channel: Any) -> None:
        self.queries = QueryServiceStub(channel)
        self.documents = IngestServiceStub(channel)


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


async def refused(call: Awaitable[object]) -> Status:
    """The status of a call that must be refused."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await asyncio.wait_for(call, CALL_SECONDS)
    return status_of(refusal.value)


async def refused_stream(call: "grpc.aio.UnaryStreamCall[Any, Any]") -> Status:
    """The status that ends a stream at once."""
    return await refused(call.read())


def status_of(error: grpc.aio.AioRpcError) -> Status:
    """The google.rpc.Status of a failed call, which agrees with gRPC's own."""
    [packed] = [value for key, value in error.trailing_metadata() or () if key == DETAILS_KEY]
    assert isinstance(packed, bytes)
    status = Status.FromString(packed)
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    return status


def details_of(status: Status, kind: type[MessageT]) -> list[MessageT]:
    found = []
    for detail in status.details:
        unpacked = kind()
        if detail.Unpack(unpacked):
            found.append(unpacked)
    return found


def code_and_reason(status: Status) -> tuple[str, str]:
    """Both as words; there is exactly one ErrorInfo, and it is ours."""
    [info] = details_of(status, ErrorInfo)
    assert info.domain == "forebay"
    return Code.Name(Code.ValueType(status.code)), info.reason


def metadata_of(status: Status) -> dict[str, str]:
    [info] = details_of(status, ErrorInfo)
    return dict(info.metadata)


def violations_of(status: Status) -> list[tuple[str, str]]:
    """Field and rule of each violation; rules as UPPER_SNAKE_CASE."""
    [bad] = details_of(status, BadRequest)
    return [(violation.field, violation.reason) for violation in bad.field_violations]
