"""What HTTP alone can get wrong. See `forebay_server.errors` for the root.

EdgeError
├── PathUnknown          UNIMPLEMENTED      404   nothing is served there
├── VerbUnknown          UNIMPLEMENTED      405   something is, but not with that HTTP method
├── NotAcceptable        INVALID_ARGUMENT   406   the stream's media types are not accepted
├── BodyTooSlow          INVALID_ARGUMENT   408   the body did not arrive in time
├── PreconditionFailed   ABORTED            412   it has changed since `If-Match` saw it
├── BodyTooLarge         INVALID_ARGUMENT   413   the body is over its limit
└── MediaTypeUnknown     INVALID_ARGUMENT   415   the body is not JSON, or packed in an unknown way

What else is wrong with a request is a FieldInvalid, as in gRPC: its `field` is the field's path,
a parameter's or a header's name, or empty for the body as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from google.rpc import code_pb2

from forebay.errors.v1 import ErrorReason
from forebay_server.errors import EdgeError, EtagMismatch, FieldInvalid, MethodUnknown, Violation


class PathUnknown(MethodUnknown):
    """Nothing is served at that path."""

    http_status: ClassVar[int] = 404


class VerbUnknown(MethodUnknown):
    """The path is served, but not with that HTTP method."""

    http_status: ClassVar[int] = 405

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__()
        self.headers = {"Allow": ", ".join(sorted(allowed))}


class NotAcceptable(FieldInvalid):
    """The client accepts none of the media types that a stream comes in."""

    http_status: ClassVar[int] = 406

    def __init__(self, offered: Iterable[str]) -> None:
        super().__init__(Violation("Accept", "media_type", f"must allow {' or '.join(offered)}"))


class BodyTooSlow(FieldInvalid):
    """The body did not arrive within that many seconds."""

    http_status: ClassVar[int] = 408
    headers: ClassVar[dict[str, str]] = {"Connection": "close"}

    def __init__(self, seconds: float) -> None:
        super().__init__(Violation("", "body.time", f"did not arrive within {seconds:g} s"))


class PreconditionFailed(EdgeError):
    """A mismatch of etags that a client foresaw with `If-Match` (RFC 9110, section 15.5.13)."""

    code = EtagMismatch.code
    reason = EtagMismatch.reason
    http_status: ClassVar[int] = 412

    def __init__(self, mismatch: EtagMismatch) -> None:
        super().__init__(str(mismatch), mismatch.metadata)


class BodyTooLarge(EdgeError):
    """The body is over its limit, in bytes, as sent or once unpacked."""

    code = code_pb2.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_DOCUMENT_TOO_LARGE
    headers: ClassVar[dict[str, str]] = {"Connection": "close"}

    def __init__(self, limit: int) -> None:
        broken = Violation("", "body.max_bytes", f"is over {limit} bytes")
        super().__init__(f"the body {broken.description}", {"limit_bytes": str(limit)}, [broken])


class MediaTypeUnknown(FieldInvalid):
    """A body in a form that nobody here reads; `header` says which form."""

    http_status: ClassVar[int] = 415

    def __init__(self, header: str, known: str) -> None:
        super().__init__(Violation(header, "media_type", f"must be {known}"))
        # RFC 9110, section 15.5.16: this is how a client learns what it may send instead.
        name = "Accept-Encoding" if header == "Content-Encoding" else "Accept"
        self.headers = {name: known}
