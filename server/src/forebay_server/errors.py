"""What the edge refuses, and why.

EdgeError
├── TokenMissing           UNAUTHENTICATED     no bearer token
├── TokenInvalid           UNAUTHENTICATED     it cannot be trusted; `rule` says why
├── TokenExpired           UNAUTHENTICATED     it was good and is over
├── IssuerUnavailable      UNAVAILABLE         its issuer's keys cannot be had
├── ScopeMissing           PERMISSION_DENIED   the method needs a scope that the token lacks
├── TierUnknown            PERMISSION_DENIED   the policy does not know the token's tier
├── ClearanceTooLow        PERMISSION_DENIED   a visibility is above the caller's clearance
├── GroupMissing           PERMISSION_DENIED   an answer is for groups that its reader has left
├── CollectionReadOnly     PERMISSION_DENIED   what is shared with a tenant is not its to write
├── ShareWithdrawn         PERMISSION_DENIED   an answer rests on what is shared no more
├── FieldInvalid           INVALID_ARGUMENT    fields break rules of the contract
├── DocumentTooLarge       INVALID_ARGUMENT    a document's content is over the limit
├── RequestIdOutOfWindow   INVALID_ARGUMENT    the time in request_id is too far away
├── PageTokenInvalid       INVALID_ARGUMENT    the page token is of another list, or changed
├── SequenceInvalid        INVALID_ARGUMENT    a sequence does not follow the one before
├── DocumentNotFound       NOT_FOUND           absent or invisible, the two are alike
├── MethodUnknown          UNIMPLEMENTED       there is no such method
└── ServerDraining         UNAVAILABLE         this process is leaving
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from google.rpc import code_pb2

from forebay.errors.v1 import ErrorReason
from forebay.policy.v1 import Scope, Visibility


@dataclass(frozen=True, slots=True)
class Violation:
    """A field, as in `document.labels["x"]`, and its broken rule, as in `string.min_len`."""

    field: str
    rule: str
    description: str


class EdgeError(Exception):
    """Root of the edge's errors; its text is safe to show to a client.

    `code` is a google.rpc.Code; `metadata` goes into the error's google.rpc.ErrorInfo and
    `violations` into its google.rpc.BadRequest.
    """

    code: ClassVar[int] = code_pb2.INTERNAL
    reason: ClassVar[ErrorReason.ValueType] = ErrorReason.ERROR_REASON_INTERNAL

    def __init__(
        self,
        message: str,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
    ) -> None:
        super().__init__(message)
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)


class TokenMissing(EdgeError):
    """The call carries no bearer token."""

    code = code_pb2.UNAUTHENTICATED
    reason = ErrorReason.ERROR_REASON_TOKEN_MISSING

    def __init__(self) -> None:
        super().__init__("send a token as `authorization: Bearer …`")


class TokenInvalid(EdgeError):
    """The token cannot be trusted; `rule` is a word such as `audience` or `signature`."""

    code = code_pb2.UNAUTHENTICATED
    reason = ErrorReason.ERROR_REASON_TOKEN_INVALID

    def __init__(self, rule: str) -> None:
        super().__init__(f"the token cannot be trusted: {rule}", {"rule": rule})
        self.rule = rule


class TokenExpired(EdgeError):
    """The token was good and is over."""

    code = code_pb2.UNAUTHENTICATED
    reason = ErrorReason.ERROR_REASON_TOKEN_EXPIRED

    def __init__(self) -> None:
        super().__init__("the token has expired")


class IssuerUnavailable(EdgeError):
    """The issuer's keys cannot be had, so nobody can judge the token."""

    code = code_pb2.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_ISSUER_UNAVAILABLE

    def __init__(self, issuer: str) -> None:
        super().__init__("the issuer's keys cannot be fetched", {"issuer": issuer})


class ScopeMissing(EdgeError):
    """The method needs a scope that the token lacks."""

    code = code_pb2.PERMISSION_DENIED
    reason = ErrorReason.ERROR_REASON_SCOPE_MISSING

    def __init__(self, scope: Scope.ValueType) -> None:
        word = scope_word(scope)
        super().__init__(f"the method needs the scope `{word}`", {"scope": word})


class TierUnknown(EdgeError):
    """The policy does not know the token's tier."""

    code = code_pb2.PERMISSION_DENIED
    reason = ErrorReason.ERROR_REASON_TIER_UNKNOWN

    def __init__(self, tier: str) -> None:
        super().__init__("the policy has no such tier", {"tier": tier})


class ClearanceTooLow(EdgeError):
    """The caller sets a visibility that it could not read itself."""

    code = code_pb2.PERMISSION_DENIED
    reason = ErrorReason.ERROR_REASON_CLEARANCE_TOO_LOW

    def __init__(self, clearance: Visibility.ValueType, visibility: Visibility.ValueType) -> None:
        words = {
            "clearance": visibility_word(clearance),
            "visibility": visibility_word(visibility),
        }
        super().__init__(
            f"clearance {words['clearance']} does not cover visibility {words['visibility']}",
            words,
        )


class GroupMissing(EdgeError):
    """An answer rests on what is meant for groups, and its reader is in none of them any more."""

    code = code_pb2.PERMISSION_DENIED
    reason = ErrorReason.ERROR_REASON_GROUP_MISSING

    def __init__(self) -> None:
        super().__init__("the answer is for groups that the caller is not in any more")


class CollectionReadOnly(EdgeError):
    """A write to what another tenant shares under this name."""

    code = code_pb2.PERMISSION_DENIED
    reason = ErrorReason.ERROR_REASON_COLLECTION_READ_ONLY

    def __init__(self, collection: str) -> None:
        super().__init__(
            "the collection is shared by another tenant: it cannot be written",
            {"collection": collection},
        )


class ShareWithdrawn(EdgeError):
    """An answer rests on a collection that is not shared with its reader any more."""

    code = code_pb2.PERMISSION_DENIED
    reason = ErrorReason.ERROR_REASON_SHARE_WITHDRAWN

    def __init__(self, collection: str) -> None:
        super().__init__(
            "a collection that the answer rests on is not shared any more",
            {"collection": collection},
        )


class FieldInvalid(EdgeError):
    """At least one field breaks a rule; the first one stands in the metadata."""

    code = code_pb2.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_FIELD_INVALID

    def __init__(self, *violations: Violation) -> None:
        first = violations[0]
        super().__init__(
            f"{first.field}: {first.description}" if first.field else first.description,
            {"field": first.field, "rule": first.rule},
            violations,
        )


class DocumentTooLarge(EdgeError):
    """A document's content is over the limit, in bytes."""

    code = code_pb2.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_DOCUMENT_TOO_LARGE

    def __init__(self, violation: Violation, limit: int) -> None:
        super().__init__(
            f"the document is over {limit} bytes", {"limit_bytes": str(limit)}, [violation]
        )


class RequestIdOutOfWindow(EdgeError):
    """The time in request_id is too far from the server's, in seconds since 1970."""

    code = code_pb2.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_REQUEST_ID_OUT_OF_WINDOW

    def __init__(self, server_time: float) -> None:
        now = datetime.fromtimestamp(server_time, UTC).isoformat(timespec="milliseconds")
        text = now.replace("+00:00", "Z")
        broken = Violation("request_id", "time_window", f"its time is too far from {text}")
        super().__init__(f"request_id: {broken.description}", {"server_time": text}, [broken])


class PageTokenInvalid(EdgeError):
    """The page token was made for another list, or was changed."""

    code = code_pb2.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID

    def __init__(self) -> None:
        super().__init__("the page token is not of this list")


class SequenceInvalid(EdgeError):
    """A stream's sequence does not follow the one before."""

    code = code_pb2.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_SEQUENCE_INVALID

    def __init__(self, expected: int) -> None:
        super().__init__(f"the sequence must be {expected}", {"expected": str(expected)})


class DocumentNotFound(EdgeError):
    """No such document, or none that the caller may see."""

    code = code_pb2.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_DOCUMENT_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("there is no such document")


class EtagMismatch(EdgeError):
    """The document has changed since the caller saw it; the metadata holds its etag now."""

    code = code_pb2.ABORTED
    reason = ErrorReason.ERROR_REASON_ETAG_MISMATCH

    def __init__(self, etag: str) -> None:
        super().__init__("the document has changed since it had that etag", {"etag": etag})


class MethodUnknown(EdgeError):
    """The server has no such method."""

    code = code_pb2.UNIMPLEMENTED
    reason = ErrorReason.ERROR_REASON_METHOD_UNKNOWN

    def __init__(self) -> None:
        super().__init__("the server has no such method")


class ServerDraining(EdgeError):
    """This process is leaving; any other one serves the call."""

    code = code_pb2.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_SERVER_DRAINING

    def __init__(self) -> None:
        super().__init__("this process is leaving; call again")


def scope_word(scope: Scope.ValueType) -> str:
    """The scope as tokens carry it: `ask`."""
    return Scope.Name(scope).removeprefix("SCOPE_").lower()


def visibility_word(visibility: Visibility.ValueType) -> str:
    """The visibility as people and policies write it: `PUBLIC`."""
    return Visibility.Name(visibility).removeprefix("VISIBILITY_")
