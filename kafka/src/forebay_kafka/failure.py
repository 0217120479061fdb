"""Errors as google.rpc.Status, the form in which they ride the log and reach clients."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.any_pb2 import Any
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from forebay.errors.v1 import ErrorReason

DOMAIN = "forebay"
UNEXPECTED = "an internal error; the server's log tells more"


def reason_word(reason: ErrorReason.ValueType) -> str:
    """A reason as ErrorInfo carries it: `LOG_UNAVAILABLE`."""
    return ErrorReason.Name(reason).removeprefix("ERROR_REASON_")


def status(
    code: int,
    reason: ErrorReason.ValueType,
    message: str,
    metadata: Mapping[str, str] | None = None,
) -> Status:
    """A status with exactly one ErrorInfo (AIP-193)."""
    info = Any()
    info.Pack(ErrorInfo(reason=reason_word(reason), domain=DOMAIN, metadata=metadata or {}))
    return Status(code=code, message=message, details=[info])


def explains_itself(error: BaseException) -> bool:
    """Whether an error has a code and a reason of ours, so that its text may be shown.

    Errors of others have attributes of these names too, as UnicodeDecodeError has a reason.
    """
    code, reason = getattr(error, "code", None), getattr(error, "reason", None)
    return isinstance(code, int) and isinstance(reason, int)


def status_of(error: BaseException) -> Status:
    """The status of an error; what does not explain itself is INTERNAL and says nothing."""
    if not explains_itself(error):
        return status(Code.INTERNAL, ErrorReason.ERROR_REASON_INTERNAL, UNEXPECTED)
    code, reason = getattr(error, "code", 0), getattr(error, "reason", 0)
    metadata = getattr(error, "metadata", {})
    return status(code, ErrorReason.ValueType(reason), str(error), metadata)


def error_info(failure: Status) -> ErrorInfo:
    """The one ErrorInfo of a status; an empty one where there is none."""
    info = ErrorInfo()
    for detail in failure.details:
        if detail.Unpack(info):
            break
    return info
