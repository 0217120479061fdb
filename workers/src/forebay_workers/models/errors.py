"""What a call to a model may raise.

ModelError
├── ModelThrottled      429: slow down, then the same call may succeed
├── ModelUnavailable    no connection, no answer in time, 5xx, a stream that broke off
├── ModelRefused        any other 4xx, a filtered answer: the same call never succeeds
└── ModelReplyInvalid   a reply that is none: bad JSON, wrong count or length, not finite

Messages name the endpoint's behaviour only: no key, no prompt, no text of a reply.
"""

from typing import ClassVar

from google.rpc.code_pb2 import Code

from forebay.errors.v1 import ErrorReason


class ModelError(Exception):
    """A model call that gave no result.

    `code` is a google.rpc.Code; `retryable` says whether the same call may succeed later.
    """

    code: ClassVar[int] = Code.UNAVAILABLE
    reason: ClassVar["ErrorReason.ValueType"] = ErrorReason.ERROR_REASON_MODEL_UNAVAILABLE
    retryable: ClassVar[bool] = True


class ModelThrottled(ModelError):
    """The endpoint asks for fewer calls (RFC 6585, 429).

    `retry_after` is in seconds, None when the endpoint did not say.
    """

    code = Code.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_MODEL_THROTTLED

    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__("the model endpoint asks to slow down")
        self.retry_after = retry_after


class ModelUnavailable(ModelError):
    """The endpoint does not answer, or broke off."""

    code = Code.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_MODEL_UNAVAILABLE


class ModelRefused(ModelError):
    """The endpoint refuses this call for good."""

    code = Code.FAILED_PRECONDITION
    reason = ErrorReason.ERROR_REASON_MODEL_REFUSED
    retryable = False


class ModelReplyInvalid(ModelError):
    """The endpoint sent what is no reply to this call."""

    code = Code.INTERNAL
    reason = ErrorReason.ERROR_REASON_MODEL_REPLY_INVALID
    retryable = False
