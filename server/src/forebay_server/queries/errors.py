"""Why a question is not taken. See `forebay_server.errors` for the root.

EdgeError
└── PipelineOverloaded   RESOURCE_EXHAUSTED   the answer would come after the query's timeout
"""

from __future__ import annotations

import math

from google.rpc.code_pb2 import Code

from forebay.errors.v1 import ErrorReason
from forebay_server.errors import EdgeError

LONGEST_RETRY_SECONDS = 30.0  # by then the stages may be far ahead of what was expected


class PipelineOverloaded(EdgeError):
    """The stages are too far behind; both times are in seconds.

    `retry_seconds` is when the wait will have come down to the timeout, if nobody else asks.
    """

    code = Code.RESOURCE_EXHAUSTED
    reason = ErrorReason.ERROR_REASON_PIPELINE_OVERLOADED

    def __init__(self, expected_wait: float, timeout: float) -> None:
        wait = math.ceil(expected_wait)
        super().__init__(
            f"the answer would have to wait for {wait} s, and its timeout is {timeout:g} s",
            {"expected_wait": f"{wait}s", "timeout": f"{timeout:g}s"},
        )
        self.retry_seconds = min(
            max(1.0, float(math.ceil(expected_wait - timeout))), LONGEST_RETRY_SECONDS
        )
