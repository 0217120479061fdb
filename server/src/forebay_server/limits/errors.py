"""Refusals of calls that are too many.

EdgeError
├── LimitReached        RESOURCE_EXHAUSTED   a limit of the tier or the tenant is reached
└── LimitsUnavailable   UNAVAILABLE          nobody can count just now
"""

from __future__ import annotations

import math

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import QuotaFailure, RetryInfo

from forebay.errors.v1 import ErrorReason
from forebay_server.errors import EdgeError
from forebay_server.limits.allowances import Limit

WHAT = {
    Limit.REQUESTS_PER_MINUTE: "calls a minute",
    Limit.CONCURRENT_ANSWERS: "answers under way at the same time",
    Limit.TOKENS_PER_DAY: "tokens a day (UTC)",
    Limit.BACKLOG: "documents that wait to be indexed",
}
UNAVAILABLE_RETRY_SECONDS = 1.0  # a store that restarts is back within seconds


class LimitReached(EdgeError):
    """A limit is reached. `details` belong beside the error's google.rpc.ErrorInfo.

    `retry_seconds` is when something is free again, as far as anybody can know.
    """

    code = code_pb2.RESOURCE_EXHAUSTED
    reason = ErrorReason.ERROR_REASON_LIMIT_REACHED

    def __init__(self, limit: Limit, value: int, retry_seconds: float, *, of_tenant: bool) -> None:
        whose = "tenant" if of_tenant else "subject"
        text = f"the {whose}'s limit of {value} {WHAT[limit]} is reached"
        super().__init__(text, {"limit": limit.value, "value": str(value)})
        self.retry_seconds = retry_seconds
        # Whose quota it is, without a name: texts of errors end up in logs.
        quota = QuotaFailure(violations=[QuotaFailure.Violation(subject=whose, description=text)])
        self.details: tuple[Message, ...] = (quota, _retry_info(retry_seconds))


class LimitsUnavailable(EdgeError):
    """Nobody can count just now, and uncounted calls that write are refused."""

    code = code_pb2.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_LIMITS_UNAVAILABLE

    def __init__(self, retry_seconds: float = UNAVAILABLE_RETRY_SECONDS) -> None:
        super().__init__("calls cannot be counted at the moment")
        self.retry_seconds = retry_seconds
        self.details: tuple[Message, ...] = (_retry_info(retry_seconds),)


def _retry_info(seconds: float) -> RetryInfo:
    # Rounded up: a client that comes a fraction of a millisecond early is refused again.
    delay = Duration()
    delay.FromMilliseconds(math.ceil(seconds * 1000))
    return RetryInfo(retry_delay=delay)
