"""What a stage makes of an error of something that it depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from google.rpc.code_pb2 import Code

from forebay.errors.v1 import ErrorReason
from forebay_workers.record_loop.stage import Retry


@dataclass(frozen=True, slots=True)
class For:
    """Tried again in place, for so many seconds."""

    seconds: float


Rules = Mapping[type[Exception], Retry | For]


class StageFailure(Exception):
    """An error of a dependency, together with what this stage does about it.

    Code, reason, metadata and `retry_after` (seconds) are those of the cause; `patience` is for
    how many seconds it is tried in place, None for as long as the stage's policy says.
    """

    def __init__(self, cause: Exception, rule: Retry | For) -> None:
        super().__init__(str(cause))
        self.retry = Retry.BRIEFLY if isinstance(rule, For) else rule
        self.patience = rule.seconds if isinstance(rule, For) else None
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
        rule = next(rule for kind, rule in rules.items() if isinstance(error, kind))
        raise StageFailure(error, rule) from error
