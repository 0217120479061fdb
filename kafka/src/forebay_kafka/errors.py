"""What can go wrong between a program and the log.

KafkaError
├── LogUnavailable    the broker does not acknowledge; nothing is promised
│   └── NobodyVouches no key may sign for a record, which is not written then
├── RecordTooLarge    the record is over the log's limit
├── RecordInvalid     the record's bytes are not what its topic carries
└── IdentityInvalid   the record's envelope does not verify, or belongs to another record
"""

from __future__ import annotations

from typing import ClassVar

from google.rpc.code_pb2 import Code

from forebay.errors.v1 import ErrorReason


class KafkaError(Exception):
    """Root of this package's errors; its text is safe to show to a client.

    `code` is a google.rpc.Code, `reason` a value of ErrorReason, and `metadata` goes into the
    error's google.rpc.ErrorInfo.
    """

    code: ClassVar[int] = Code.INTERNAL
    reason: ClassVar[ErrorReason.ValueType] = ErrorReason.ERROR_REASON_INTERNAL

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.metadata = metadata


class LogUnavailable(KafkaError):
    """The log did not acknowledge in time: the record may or may not be in it."""

    code = Code.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_LOG_UNAVAILABLE


class NobodyVouches(LogUnavailable):
    """Every key of the edge is outside its time: whatever it signed would be poison."""


class RecordTooLarge(KafkaError):
    """The record is over the size that the log takes."""

    code = Code.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_DOCUMENT_TOO_LARGE


class RecordInvalid(KafkaError):
    """The record cannot be read: truncated, of another type, without key or value."""

    code = Code.DATA_LOSS
    reason = ErrorReason.ERROR_REASON_RECORD_INVALID


class IdentityInvalid(KafkaError):
    """Nobody vouches for the record, or somebody vouches for another one."""

    code = Code.PERMISSION_DENIED
    reason = ErrorReason.ERROR_REASON_IDENTITY_INVALID
