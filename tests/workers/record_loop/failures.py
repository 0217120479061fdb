"""Errors as stages raise them."""

from google.rpc.code_pb2 import Code

from forebay.errors.v1 import ErrorReason
from forebay_workers.record_loop.stage import Retry


class Failing(Exception):
    """Says what it is told to say."""

    reason = ErrorReason.ERROR_REASON_MODEL_UNAVAILABLE

    def __init__(
        self, retry: Retry, retry_after: float | None = None, code: int = Code.UNAVAILABLE
    ) -> None:
        super().__init__("secret content")
        self.retry = retry
        self.retry_after = retry_after
        self.code = code
