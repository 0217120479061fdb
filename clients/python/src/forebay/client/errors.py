"""What can go wrong, by what a caller does about it.

ForebayError
├── InvalidArgument      change the request; `violations` names field and rule
├── Unauthenticated      get a token that the server trusts
├── PermissionDenied     ask for a scope, a tier or a clearance
├── NotFound             no such query or document, or not yours
├── FailedPrecondition   the same request will be refused again
├── ResourceExhausted    slow down; `retry_delay` says how long, when known
│   └── PipelineOverloaded   the answer would come after the query's timeout
├── Unavailable          try again later; what may be retried was retried
├── DeadlineExceeded     give it more time, or ask for less
├── Aborted              every attempt failed; a new call may not
├── Unimplemented        the server does not know the method
├── Internal             a defect of the server
├── QueryFailed          the query ended without an answer; `cause` says why
├── QueryCancelled       somebody wanted no answer any more
├── DocumentFailed       the version will not be found; `cause` says why
└── DocumentSuperseded   another version took this one's place
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from forebay.errors.v1 import ErrorReason
from forebay.ingest.v1 import Document

NO_REASON = ErrorReason.ERROR_REASON_UNSPECIFIED


@dataclass(frozen=True)
class Violation:
    """A field that breaks a rule (google.rpc.BadRequest.FieldViolation)."""

    field: str
    description: str
    rule: str = ""


class ForebayError(Exception):
    """Any error of a call, a query or a document.

    Attributes:
        code: the gRPC status code.
        reason: why, as the contract names it; unspecified when the server did not say it,
            because the error arose on the way or in this process.
        metadata: what belongs to the reason (google.rpc.ErrorInfo).
        violations: the fields that break a rule.
        retry_delay: seconds after which the server would have the call again, if it said so.
    """

    default_code: ClassVar[StatusCode] = StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: StatusCode | None = None,
        reason: ErrorReason.ValueType = NO_REASON,
        metadata: Mapping[str, str] = MappingProxyType({}),
        violations: tuple[Violation, ...] = (),
        retry_delay: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.reason = reason
        self.metadata = MappingProxyType(dict(metadata))
        self.violations = violations
        self.retry_delay = retry_delay

    @property
    def reason_name(self) -> str:
        """The reason as it stands in an ErrorInfo, such as TOKEN_EXPIRED; empty when unsaid."""
        if self.reason == NO_REASON:
            return ""
        return ErrorReason.Name(self.reason).removeprefix("ERROR_REASON_")


class InvalidArgument(ForebayError):
    """The request breaks a rule of the contract."""

    default_code = StatusCode.INVALID_ARGUMENT


class Unauthenticated(ForebayError):
    """There is no token, or none that the server trusts."""

    default_code = StatusCode.UNAUTHENTICATED


class PermissionDenied(ForebayError):
    """The token is good and does not allow this."""

    default_code = StatusCode.PERMISSION_DENIED


class NotFound(ForebayError):
    """There is no such thing, or it is not yours."""

    default_code = StatusCode.NOT_FOUND


class FailedPrecondition(ForebayError):
    """The same request will be refused again."""

    default_code = StatusCode.FAILED_PRECONDITION


class ResourceExhausted(ForebayError):
    """A quota or a limit is used up."""

    default_code = StatusCode.RESOURCE_EXHAUSTED


class PipelineOverloaded(ResourceExhausted):
    """A question was refused: its answer would come after the query's timeout.

    It was asked again for as long as patience allowed. Nothing is in the log; ask later, after
    `retry_delay` seconds, or with a longer timeout.
    """

    @property
    def expected_wait(self) -> float | None:
        """Seconds that the stages are behind, if the server said so."""
        return _seconds(self.metadata.get("expected_wait", ""))

    @property
    def query_timeout(self) -> float | None:
        """Seconds that the query was given, if the server said so."""
        return _seconds(self.metadata.get("timeout", ""))


class Unavailable(ForebayError):
    """The server cannot be reached or cannot serve the call now."""

    default_code = StatusCode.UNAVAILABLE


class DeadlineExceeded(ForebayError):
    """The call or the query did not finish in its time."""

    default_code = StatusCode.DEADLINE_EXCEEDED


class Aborted(ForebayError):
    """Every attempt at the work failed."""

    default_code = StatusCode.ABORTED


class Unimplemented(ForebayError):
    """The server does not know the method."""

    default_code = StatusCode.UNIMPLEMENTED


class Internal(ForebayError):
    """A defect, of the server or of what stands between."""

    default_code = StatusCode.INTERNAL


class QueryFailed(ForebayError):
    """A query ended without an answer; code, reason and metadata are its cause's."""

    def __init__(self, query: str, cause: ForebayError) -> None:
        super().__init__(
            cause.message,
            code=cause.code,
            reason=cause.reason,
            metadata=cause.metadata,
            violations=cause.violations,
            retry_delay=cause.retry_delay,
        )
        self.query = query
        self.cause = cause


class QueryCancelled(ForebayError):
    """A query was cancelled before its answer was whole."""

    default_code = StatusCode.CANCELLED

    def __init__(self, query: str) -> None:
        super().__init__("the query was cancelled")
        self.query = query


class DocumentFailed(ForebayError):
    """A document's version will not be found; code, reason and metadata are its cause's."""

    def __init__(self, document: Document, cause: ForebayError) -> None:
        super().__init__(
            cause.message,
            code=cause.code,
            reason=cause.reason,
            metadata=cause.metadata,
            violations=cause.violations,
        )
        self.document = document
        self.cause = cause


class DocumentSuperseded(ForebayError):
    """Another version of the document, `document.superseded_by`, took this one's place."""

    default_code = StatusCode.ABORTED

    def __init__(self, document: Document) -> None:
        super().__init__(f"version {document.superseded_by} took this version's place")
        self.document = document


def _seconds(text: str) -> float | None:
    """The seconds of a duration in protobuf's JSON form, such as `1.5s`."""
    duration = Duration()
    try:
        duration.FromJsonString(text)
    except ValueError:
        return None
    return duration.ToNanoseconds() / 1e9
