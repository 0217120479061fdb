"""Why an answer is not written again."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from google.rpc.code_pb2 import Code

from forebay.errors.v1 import ErrorReason
from forebay_workers.record_loop.stage import Retry


class AttemptsExhausted(Exception):
    """Every attempt at the answer broke off; each was paid for."""

    code: ClassVar[int] = Code.ABORTED
    reason: ClassVar[ErrorReason.ValueType] = ErrorReason.ERROR_REASON_ATTEMPTS_EXHAUSTED
    metadata: ClassVar[Mapping[str, str]] = MappingProxyType({})
    retry: ClassVar[Retry] = Retry.NEVER

    def __init__(self) -> None:
        super().__init__("every attempt at the answer broke off")
