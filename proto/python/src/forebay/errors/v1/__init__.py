"""Everything in the proto package `forebay.errors.v1`. Generated; do not edit."""

from .error_reason_pb2 import ErrorReason

__all__ = [
    "ErrorReason",
]
