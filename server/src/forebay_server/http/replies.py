"""What goes back: messages and statuses as JSON, with the HTTP status of google.rpc.Code."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from forebay_server.errors import EdgeError
from forebay_server.failures import failure_of
from forebay_server.http.rate_limits import rate_limit_headers
from forebay_server.http.requests import JSON, Send, encoded

# google/rpc/code.proto, which names an HTTP status beside each code.
HTTP_STATUSES: Mapping[int, int] = {
    code_pb2.OK: 200,
    code_pb2.CANCELLED: 499,
    code_pb2.UNKNOWN: 500,
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.DEADLINE_EXCEEDED: 504,
    code_pb2.NOT_FOUND: 404,
    code_pb2.ALREADY_EXISTS: 409,
    code_pb2.PERMISSION_DENIED: 403,
    code_pb2.UNAUTHENTICATED: 401,
    code_pb2.RESOURCE_EXHAUSTED: 429,
    code_pb2.FAILED_PRECONDITION: 400,
    code_pb2.ABORTED: 409,
    code_pb2.OUT_OF_RANGE: 400,
    code_pb2.UNIMPLEMENTED: 501,
    code_pb2.INTERNAL: 500,
    code_pb2.UNAVAILABLE: 503,
    code_pb2.DATA_LOSS: 500,
}
# One reason whose HTTP status says more than its code does.
REASON_STATUSES = {"DOCUMENT_TOO_LARGE": 413}
RETRIED = frozenset({429, 503})
DEFAULT_RETRY_SECONDS = 1
MIN_GZIP_BYTES = 1_024  # below a packet nothing is gained
MAX_INLINE_GZIP_BYTES = 64 * 1024  # about 1 ms; more would hold up other calls
GZIP_LEVEL = 5
# JSON need not escape these, but readers of lines split at them.
LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


@dataclass(frozen=True)
class Reply:
    """A whole answer; its headers are added to those that every answer has."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, send: Send, *, accepts_gzip: bool = False) -> None:
        """Send it, packed where that helps."""
        headers, body = dict(self.headers), self.body
        if body:
            headers.setdefault("Content-Type", JSON)
            headers["Vary"] = "Accept-Encoding"
        if accepts_gzip and len(body) >= MIN_GZIP_BYTES:
            body = await _packed(body)
            headers["Content-Encoding"] = "gzip"
        if self.status not in (204, 304):
            headers["Content-Length"] = str(len(body))
        await send(
            {"type": "http.response.start", "status": self.status, "headers": encoded(headers)}
        )
        await send({"type": "http.response.body", "body": body})


def message_json(message: Message) -> str:
    """A message as one line of JSON, in lower camel case; fields without a value are left out."""
    return line(MessageToDict(message))


def line(value: Any) -> str:  # noqa: ANN401 whatever JSON can hold
    """JSON without a character that ends a line anywhere."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else text.translate(LINE_ENDS)


def refusal(error: Exception, trace: str = "") -> Reply:
    """The answer to a call that failed: a google.rpc.Status, as gRPC carries it in a trailer."""
    status = failure_of(error, trace)
    info, retry = detail(status, ErrorInfo()), detail(status, RetryInfo())
    code = REASON_STATUSES.get(info.reason) or HTTP_STATUSES[status.code]
    # Errors of others may have these attributes too, and mean nothing by them for clients.
    told = error if isinstance(error, EdgeError) else None
    code = getattr(told, "http_status", code)
    headers = {"Cache-Control": "no-store", **_challenge(code, info)}
    if code in RETRIED:
        headers |= _retry(retry.retry_delay, info)
    headers |= getattr(told, "headers", {})
    return Reply(code, message_json(status).encode(), headers)


def detail(status: Status, wanted: Any) -> Any:  # noqa: ANN401 a message of the wanted type
    """The detail of that type, or an empty one."""
    for each in status.details:
        if each.Unpack(wanted):
            break
    return wanted


def _challenge(code: int, info: ErrorInfo) -> dict[str, str]:
    """RFC 6750, section 3: which token would do."""
    if code == 401:  # noqa: PLR2004
        missing = info.reason == "TOKEN_MISSING"
        return {"WWW-Authenticate": "Bearer" if missing else 'Bearer error="invalid_token"'}
    if info.reason == "SCOPE_MISSING":
        scope = info.metadata["scope"]
        return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
    return {}


def _retry(delay: Duration, info: ErrorInfo) -> dict[str, str]:
    seconds = math.ceil(delay.seconds + delay.nanos / 1e9) or DEFAULT_RETRY_SECONDS
    headers = {"Retry-After": str(seconds)}
    if info.reason == "LIMIT_REACHED":
        name, value = info.metadata["limit"], int(info.metadata["value"])
        headers |= rate_limit_headers(name, value, 0, seconds)
    return headers


async def _packed(body: bytes) -> bytes:
    if len(body) <= MAX_INLINE_GZIP_BYTES:
        return gzip.compress(body, GZIP_LEVEL, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, GZIP_LEVEL, mtime=0)
