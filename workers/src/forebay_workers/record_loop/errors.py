"""What the record loop itself finds wrong with a piece of work.

DeadlinePassed    nobody waits for the work any more
CallTimedOut      a call took longer than a stage gives it
CallStuck         a call goes on long after it was cancelled; only a new process helps
"""

from pathlib import Path
from typing import ClassVar

from google.rpc import code_pb2

from forebay.errors.v1 import ErrorReason
from forebay_workers.record_loop.stage import Retry


class DeadlinePassed(Exception):
    """The envelope's expire time passed before the work was done."""

    code: ClassVar[int] = code_pb2.DEADLINE_EXCEEDED
    reason: ClassVar[ErrorReason.ValueType] = ErrorReason.ERROR_REASON_QUERY_EXPIRED
    retry: ClassVar[Retry] = Retry.NEVER

    def __init__(self) -> None:
        super().__init__("the deadline passed before the work was done")
        self.metadata: dict[str, str] = {}


class CallTimedOut(Exception):
    """An attempt was ended at the stage's timeout; `seconds` is that timeout."""

    code: ClassVar[int] = code_pb2.UNAVAILABLE
    reason: ClassVar[ErrorReason.ValueType] = ErrorReason.ERROR_REASON_STAGE_CALL_TIMEOUT
    retry: ClassVar[Retry] = Retry.BRIEFLY

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the work was not done within {seconds:g} seconds")
        self.metadata = {"timeout_seconds": f"{seconds:g}"}


class CallStuck(Exception):
    """A call ignores that it was cancelled."""

    def __init__(self) -> None:
        super().__init__("a call goes on long after it was cancelled")


def facts_of(error: Exception) -> dict[str, object]:
    """What a log line may say of an error: its text and its trace could show content."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return {"error": type(error).__name__, "where": where}
