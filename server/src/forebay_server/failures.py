"""Errors as clients see them: one google.rpc.Status with exactly one ErrorInfo (AIP-193)."""

from __future__ import annotations

import logging
from pathlib import Path
from traceback import walk_tb
from urllib.parse import quote

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

from forebay.errors.v1 import ErrorReason
from forebay_kafka.failure import explains_itself, status_of
from forebay_server.errors import EdgeError, Violation

MAX_TEXT_BYTES = 512  # as percent-encoded; long grpc-message trailers break clients
MAX_STATUS_BYTES = 4 * 1024  # half of the 8 KiB that clients take as metadata
MAX_PLACES = 100  # causes may go in circles
RETRY_SECONDS = {  # the reasons that the contract couples with RetryInfo
    ErrorReason.ERROR_REASON_ISSUER_UNAVAILABLE: 5,
    ErrorReason.ERROR_REASON_LOG_UNAVAILABLE: 1,
    ErrorReason.ERROR_REASON_INDEX_UNAVAILABLE: 1,
    ErrorReason.ERROR_REASON_SERVER_DRAINING: 0,
}

_log = logging.getLogger(__name__)


def failure_of(error: Exception, trace: str = "") -> Status:
    """The status of an error, with BadRequest, QuotaFailure or RetryInfo where they belong.

    An error that does not explain itself becomes INTERNAL; the log says where it came from,
    beside `trace`, the client's trace id. Its text goes nowhere: it may quote what was sent.
    """
    status = status_of(error)
    if not explains_itself(error):
        _log.error("a call failed by a defect", extra={"trace": trace, "where": _where(error)})
        return status
    status.message = _shortened(status.message)
    told = error if isinstance(error, EdgeError) else None
    if told is not None and told.violations:
        _add_bad_request(status, told.violations)
    details: tuple[Message, ...] = getattr(told, "details", ())
    for detail in details:
        _add(status, detail)
    if details:
        return status
    reason = getattr(error, "reason", ErrorReason.ERROR_REASON_INTERNAL)
    seconds = getattr(told, "retry_seconds", RETRY_SECONDS.get(reason))
    if seconds is not None:
        _add(status, RetryInfo(retry_delay=Duration(seconds=int(seconds))))
    return status


def _where(error: BaseException) -> list[str]:
    """Types, files and lines of an error and of what caused it, each from the outside in."""
    found: list[str] = []
    each: BaseException | None = error
    while each is not None and len(found) < MAX_PLACES:
        found.append(type(each).__name__)
        for frame, line in walk_tb(each.__traceback__):
            found.append(f"{Path(frame.f_code.co_filename).name}:{line}")
        each = each.__cause__ or each.__context__
    return found


def _add(status: Status, detail: Message) -> None:
    packed = Any()
    packed.Pack(detail)
    status.details.append(packed)


def _add_bad_request(status: Status, violations: tuple[Violation, ...]) -> None:
    request = BadRequest()
    for broken in violations:
        request.field_violations.add(
            field=broken.field, description=broken.description, reason=_reason(broken.rule)
        )
        if request.ByteSize() + status.ByteSize() > MAX_STATUS_BYTES:
            del request.field_violations[-1]
            break
    _add(status, request)


def _reason(rule: str) -> str:
    # BadRequest.FieldViolation.reason must be UPPER_SNAKE_CASE: `string.min_len` breaks it.
    return rule.replace(".", "_").upper()


def _shortened(text: str) -> str:
    while len(quote(text)) > MAX_TEXT_BYTES:
        text = text[: len(text) * 3 // 4]
    return text
