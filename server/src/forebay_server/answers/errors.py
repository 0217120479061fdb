"""Why a reader gets no answer, or no more of it. See `forebay_server.errors` for the root.

EdgeError
├── QueryNotFound   NOT_FOUND            no such query, or not the caller's
├── CursorInvalid   INVALID_ARGUMENT     the cursor belongs to another query, or was changed
├── ReaderTooSlow   RESOURCE_EXHAUSTED   the reader's queue ran over
└── QueryExpired    DEADLINE_EXCEEDED    the deadline passed without a terminal event
"""

from __future__ import annotations

from google.rpc.code_pb2 import Code

from forebay.errors.v1 import ErrorReason
from forebay_server.errors import EdgeError


class QueryNotFound(EdgeError):
    """Says the same of a name that never was and of somebody else's."""

    code = Code.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_QUERY_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("there is no such query, or it is not yours")


class CursorInvalid(EdgeError):
    """Says nothing of what is wrong with the cursor."""

    code = Code.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_CURSOR_INVALID

    def __init__(self) -> None:
        super().__init__("the cursor is not one of this query")


class ReaderTooSlow(EdgeError):
    """The reader may resume at its last cursor."""

    code = Code.RESOURCE_EXHAUSTED
    reason = ErrorReason.ERROR_REASON_READER_TOO_SLOW

    def __init__(self) -> None:
        super().__init__("events were taken too slowly; resume at the last cursor")


class QueryExpired(EdgeError):
    """The log holds no terminal event although the deadline and a grace have passed."""

    code = Code.DEADLINE_EXCEEDED
    reason = ErrorReason.ERROR_REASON_QUERY_EXPIRED

    def __init__(self) -> None:
        super().__init__("the query's deadline passed before its answer was complete")
