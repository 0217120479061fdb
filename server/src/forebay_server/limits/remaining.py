"""What a caller has left, as the contract shows it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from forebay.query.v1 import Caller as CallerMessage
from forebay_server.limits.allowances import Limit


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a limit; `reset_time`, in seconds since 1970, is when all of it is back."""

    limit: int
    remaining: int
    reset_time: float | None = None


Remaining = Mapping[Limit, Left]
"""What is left of each limit that the caller has."""


def show_remaining(remaining: Remaining, limits: CallerMessage.Limits) -> None:
    """Fill in the allowances of GetCaller's answer; what has no limit stays absent."""
    for limit, left in remaining.items():
        allowance = CallerMessage.Allowance(limit=left.limit, remaining=left.remaining)
        if left.reset_time is not None:
            allowance.reset_time.CopyFrom(Timestamp(seconds=math.ceil(left.reset_time)))
        getattr(limits, limit).CopyFrom(allowance)
