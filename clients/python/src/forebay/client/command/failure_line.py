"""An error as one line: what, field and rule, what to do."""

import math
import re

from forebay.client.command.connection import Connection
from forebay.client.command.terminal import one_line
from forebay.client.errors import (
    DeadlineExceeded,
    ForebayError,
    InvalidArgument,
    PipelineOverloaded,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from forebay.errors.v1 import ErrorReason

_REMOTE_TEXT = 160  # characters; gRPC's own words can be long
# What gRPC puts before the reason why there is no connection: that there is none, and to where.
_PREAMBLE = re.compile(
    r"^(connections to all backends failing; last error: )?([A-Z_]+: )?(ipv[46]:\S+: )?"
    r"(errors resolving .*lookup failed for \S+: )?"
)
_UNREACHABLE = {
    "handshake failed": "--ca names its root certificates; --plaintext if it has no TLS",
    "Failed parsing HTTP/2": "it speaks no gRPC there, or only with TLS: see --ca",
}
_WHAT_TO_DO = {
    ErrorReason.ERROR_REASON_TOKEN_MISSING: "give a token with --token or --token-file",
    ErrorReason.ERROR_REASON_TOKEN_INVALID: "get a token that this server trusts",
    ErrorReason.ERROR_REASON_TOKEN_EXPIRED: "get a new token",
    ErrorReason.ERROR_REASON_SCOPE_MISSING: "get a token with this scope",
    ErrorReason.ERROR_REASON_CLEARANCE_TOO_LOW: "choose a visibility within your clearance",
    ErrorReason.ERROR_REASON_COLLECTION_READ_ONLY: "write to a collection of another name",
    ErrorReason.ERROR_REASON_SHARE_WITHDRAWN: "ask again",
    ErrorReason.ERROR_REASON_GROUP_MISSING: "ask again",
    ErrorReason.ERROR_REASON_QUERY_NOT_FOUND: "queries are kept for a day, for their asker alone",
    ErrorReason.ERROR_REASON_DOCUMENT_NOT_FOUND: "`forebay documents list` names those you may see",
    ErrorReason.ERROR_REASON_DOCUMENT_TOO_LARGE: "split the document",
    ErrorReason.ERROR_REASON_QUERY_EXPIRED: "ask again with a longer --timeout",
}
_WHAT_TO_DO_IN_GENERAL = (
    (DeadlineExceeded, "try again, or give it more time"),
    (Unimplemented, "the server is older than this command"),
)


def failure_line(error: ForebayError, connection: Connection | None = None) -> str:
    """The line, safe for a terminal."""
    parts = [] if _repeats_a_field(error) else [_what(error, connection)]
    parts += _fields(error)
    parts.append(_what_to_do(error, connection))
    return one_line("; ".join(part for part in parts if part))


def _what(error: ForebayError, connection: Connection | None) -> str:
    if isinstance(error, Unavailable) and not error.reason_name and connection is not None:
        why = _PREAMBLE.sub("", one_line(error.message)).removesuffix("]")
        return f"cannot reach {connection.server}: {one_line(why, _REMOTE_TEXT)}"
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
    if isinstance(error, Unauthenticated) and connection is not None and connection.token_file:
        return f"put a new token into {connection.token_file}"
    if error.reason in _WHAT_TO_DO:
        return _WHAT_TO_DO[error.reason]
    match error:
        case PipelineOverloaded():
            return " or ".join(
                part for part in (_later(error), "ask with a longer --timeout") if part
            )
        case ResourceExhausted() | Unavailable() if error.retry_delay is not None:
            return _later(error)
        case Unavailable() if not error.reason_name and connection is not None:
            return _how_to_reach(error)
    return next((hint for kind, hint in _WHAT_TO_DO_IN_GENERAL if isinstance(error, kind)), "")


def _later(error: ForebayError) -> str:
    return "" if error.retry_delay is None else f"try again in {math.ceil(error.retry_delay)} s"


def _how_to_reach(error: ForebayError) -> str:
    for sign, hint in _UNREACHABLE.items():
        if sign in error.message:
            return hint
    return "is a server running there? --server names another"
