"""Calls to an edge, and what came back."""

from typing import Any, TypeVar

from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status.rpc_status import GRPC_DETAILS_METADATA_KEY as DETAILS_KEY

MessageT = TypeVar("MessageT", bound=Message)


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def status_of(error: Any) -> Status:
    """The one google.rpc.Status of a failed call, which agrees with gRPC's own."""
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


def reason_of(status: Status) -> str:
    [info] = details_of(status, ErrorInfo)
    return info.reason
