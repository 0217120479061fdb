"""What the record loop itself finds wrong with a piece of work.

DeadlinePassed    nobody waits for the work any more
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


def facts_of(error: Exception) -> dict[str, object]:
    """What a log line may say of an error: its text and its trace could show content."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return {"error": type(error).__name__, "where": where}
