"""The one module that reads gRPC statuses: turns them into the error tree."""

from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from grpc.aio import AioRpcError
from grpc_status import rpc_status

from forebay.client import errors
from forebay.client.errors import ForebayError, Violation
from forebay.errors.v1 import ErrorReason

DOMAIN = "forebay"

_Detail = TypeVar("_Detail", bound=Message)

_CODES: dict[int, StatusCode] = {code.value[0]: code for code in StatusCode}
_CLASSES: dict[StatusCode, type[ForebayError]] = {
    StatusCode.INVALID_ARGUMENT: errors.InvalidArgument,
    StatusCode.OUT_OF_RANGE: errors.InvalidArgument,
    StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
    StatusCode.NOT_FOUND: errors.NotFound,
    StatusCode.FAILED_PRECONDITION: errors.FailedPrecondition,
    StatusCode.RESOURCE_EXHAUSTED: errors.ResourceExhausted,
    StatusCode.UNAVAILABLE: errors.Unavailable,
    StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    StatusCode.ABORTED: errors.Aborted,
    StatusCode.UNIMPLEMENTED: errors.Unimplemented,
    StatusCode.INTERNAL: errors.Internal,
    StatusCode.DATA_LOSS: errors.Internal,
}
_REASON_CLASSES: dict[ErrorReason.ValueType, type[ForebayError]] = {
    ErrorReason.ERROR_REASON_PIPELINE_OVERLOADED: errors.PipelineOverloaded,
}


def failure_of_call(error: AioRpcError) -> ForebayError:
    """The error of a call: by google.rpc.Status where the server sent one, by code otherwise."""
    status = _sent_status(error)
    if status is not None:
        return failure_of_status(status)
    message = error.details() or error.code().name
    return _CLASSES.get(error.code(), ForebayError)(message, code=error.code())


def failure_of_status(status: Status) -> ForebayError:
    """The error that a google.rpc.Status tells of: a query's, a document's or a call's."""
    code = _CODES.get(status.code, StatusCode.UNKNOWN)
    info = _detail(status, ErrorInfo) or ErrorInfo()
    retry = _detail(status, RetryInfo)
    reason = _reason(info)
    kind = _REASON_CLASSES.get(reason) or _CLASSES.get(code, ForebayError)
    return kind(
        status.message or code.name,
        code=code,
        reason=reason,
        metadata=dict(info.metadata),
        violations=_violations(status),
        retry_delay=retry.retry_delay.ToTimedelta().total_seconds() if retry else None,
    )


def _sent_status(error: AioRpcError) -> Status | None:
    try:
        # AioRpcError has the three methods that from_call reads of a finished call.
        sent: Status | None = rpc_status.from_call(error)  # type: ignore[arg-type]
    except (ValueError, DecodeError):
        # Something between changed the status; what is left is the code.
        return None
    return sent


def _detail(status: Status, kind: type[_Detail]) -> _Detail | None:
    for packed in status.details:
        detail = kind()
        if packed.TypeName() == kind.DESCRIPTOR.full_name and packed.Unpack(detail):
            return detail
    return None


def _violations(status: Status) -> tuple[Violation, ...]:
    request = _detail(status, BadRequest)
    if request is None:
        return ()
    return tuple(
        Violation(field=each.field, description=each.description, rule=each.reason)  # type: ignore[attr-defined,unused-ignore]
        for each in request.field_violations
    )


def _reason(info: ErrorInfo) -> ErrorReason.ValueType:
    """The reason by its name; one that this client is too old to know stays unspecified."""
    name = f"ERROR_REASON_{info.reason}"
    if info.domain != DOMAIN or name not in ErrorReason.keys():  # noqa: SIM118 - no mapping
        return errors.NO_REASON
    return ErrorReason.Value(name)
