"""What a stage makes of an error of something that it depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from google.rpc.code_pb2 import Code

from forebay.errors.v1 import ErrorReason
from forebay_workers.record_loop.stage import Retry

Rules = Mapping[type[Exception], Retry]


class StageFailure(Exception):
    """An error of a dependency, together with what this stage does about it.

    Code, reason, metadata and `retry_after` (seconds) are those of the cause.
    """

    def __init__(self, cause: Exception, retry: Retry) -> None:
        super().__init__(str(cause))
        self.retry = retry
        self.code: int = getattr(cause, "code", Code.INTERNAL)
        self.reason: ErrorReason.ValueType = getattr(
            cause, "reason", ErrorReason.ERROR_REASON_INTERNAL
        )
        self.metadata: Mapping[str, str] = getattr(cause, "metadata", {})
        self.retry_after: float | None = getattr(cause, "retry_after", None)


@contextmanager
def judged(rules: Rules) -> Iterator[None]:
    """Raise StageFailure for the errors that `rules` knows; the first rule that fits decides."""
    try:
        yield
    except tuple(rules) as error:
        retry = next(rule for kind, rule in rules.items() if isinstance(error, kind))
        raise StageFailure(error, retry) from error
