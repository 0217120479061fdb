"""An error as one line: what, field and rule, what to do."""

from forebay.client.command.connection import Connection
from forebay.client.command.terminal import one_line
from forebay.client.errors import (
    DeadlineExceeded,
    ForebayError,
    InvalidArgument,
    ResourceExhausted,
    Unavailable,
)
from forebay.errors.v1 import ErrorReason

_REMOTE_TEXT = 160  # characters; gRPC's own words repeat every address that it tried
_WHAT_TO_DO = {
    ErrorReason.ERROR_REASON_TOKEN_MISSING: "give a token with --token or --token-file",
    ErrorReason.ERROR_REASON_TOKEN_INVALID: "get a token that this server trusts",
    ErrorReason.ERROR_REASON_TOKEN_EXPIRED: "get a new token",
    ErrorReason.ERROR_REASON_SCOPE_MISSING: "get a token with this scope",
    ErrorReason.ERROR_REASON_CLEARANCE_TOO_LOW: "choose a visibility within your clearance",
    ErrorReason.ERROR_REASON_QUERY_NOT_FOUND: "queries are kept for a day, for their asker alone",
    ErrorReason.ERROR_REASON_DOCUMENT_TOO_LARGE: "split the document",
    ErrorReason.ERROR_REASON_QUERY_EXPIRED: "ask again with a longer --timeout",
}


def failure_line(error: ForebayError, connection: Connection | None = None) -> str:
    """The line, safe for a terminal."""
    parts = [] if _repeats_a_field(error) else [_what(error, connection)]
    parts += _fields(error)
    parts.append(_what_to_do(error, connection))
    return one_line("; ".join(part for part in parts if part))


def _what(error: ForebayError, connection: Connection | None) -> str:
    if isinstance(error, Unavailable) and not error.reason_name and connection is not None:
        return f"cannot reach {connection.server}: {one_line(error.message, _REMOTE_TEXT)}"
    return error.message


def _repeats_a_field(error: ForebayError) -> bool:
    return any(error.message.startswith(f"{each.field}: ") for each in error.violations)


def _fields(error: ForebayError) -> list[str]:
    if isinstance(error, InvalidArgument) and not error.violations and error.metadata:
        return [", ".join(f"{key} {value}" for key, value in sorted(error.metadata.items()))]
    return [
        f"{each.field}: {each.description or each.rule}"
        + (f" ({each.rule})" if each.rule and each.description not in {"", each.rule} else "")
        for each in error.violations
    ]


def _what_to_do(error: ForebayError, connection: Connection | None) -> str:
    if error.reason in _WHAT_TO_DO:
        return _WHAT_TO_DO[error.reason]
    if error.retry_delay is not None and isinstance(error, ResourceExhausted | Unavailable):
        return f"try again in {error.retry_delay:.0f} s"
    if isinstance(error, Unavailable) and not error.reason_name and connection is not None:
        return "is a server running there? --server names another"
    if isinstance(error, DeadlineExceeded):
        return "try again, or give it more time"
    return ""
