"""Headers that say something about a call, as fields of its request.

`Idempotency-Key` is request_id, `If-Match` is etag, `Last-Event-ID` is after_cursor: wherever the
contract has the field, at the top of the request or in its body.
"""

from __future__ import annotations

import re

from google.protobuf.message import Message

from forebay_server.errors import FieldInvalid, Violation
from forebay_server.http.bindings import Binding
from forebay_server.http.requests import Request

ENTITY_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"', re.ASCII)
WAIT = re.compile(r"wait\s*=\s*\"?([0-9]{1,9})\"?", re.ASCII | re.IGNORECASE)
MAX_WAIT_SECONDS = 60
QUALITY_ZERO = re.compile(r";\s*q\s*=\s*0(\.0*)?\s*$", re.ASCII)


def apply_headers(message: Message, binding: Binding, request: Request) -> None:
    """Set the fields that headers stand for.

    Raises FieldInvalid when header and field differ, or when the method cannot keep to the header.
    """
    key = request.header("idempotency-key").strip().strip('"')
    if key:
        _agree(message, binding, "request_id", key, "Idempotency-Key")
    if binding.verb != "GET" and (tag := request.header("if-match")):
        _agree(message, binding, "etag", _required_tag(tag), "If-Match")
    if binding.method.server_streaming and (last := request.header("last-event-id")):
        _resume(message, binding, last)


def is_match(request: Request, header: str, etag: str) -> bool | None:
    """Whether a header of entity tags holds that etag; None when there is no such header."""
    text = ", ".join(request.headers(header))
    if not text:
        return None
    weak_counts = header == "if-none-match"  # RFC 9110, sections 13.1.1 and 13.1.2
    tags = [tag for weak, tag in ENTITY_TAG.findall(text) if weak_counts or not weak]
    return text.strip() == "*" or etag in tags


def wanted_wait(request: Request) -> int:
    """Seconds of `Prefer: wait=N` (RFC 7240, section 4.3), at most MAX_WAIT_SECONDS."""
    for preference in ",".join(request.headers("prefer")).split(","):
        found = WAIT.fullmatch(preference.strip())
        if found:
            return min(int(found[1]), MAX_WAIT_SECONDS)
    return 0


def accepts_gzip(request: Request) -> bool:
    """Whether the answer may be packed."""
    wanted = [
        each.strip().lower() for each in ",".join(request.headers("accept-encoding")).split(",")
    ]
    return any(
        each.split(";")[0].strip() == "gzip" and not QUALITY_ZERO.search(each) for each in wanted
    )


def _agree(message: Message, binding: Binding, name: str, value: str, header: str) -> None:
    owner = _owner(message, binding, name)
    if owner is None:
        # A key that nobody needs does no harm; a condition that nobody keeps does.
        if name == "etag":
            raise FieldInvalid(Violation(header, "header.unknown", "the method takes no condition"))
        return
    given = getattr(owner, name)
    if given and given != value:
        raise FieldInvalid(Violation(name, "header.agrees", f"must be what {header} says"))
    setattr(owner, name, value)


def _owner(message: Message, binding: Binding, name: str) -> Message | None:
    """The message that has the field: the request itself, or the one that is its body."""
    if name in message.DESCRIPTOR.fields_by_name:
        return message
    field = binding.body_field
    kind = None if field is None else field.message_type
    if field is None or kind is None or name not in kind.fields_by_name or field.is_repeated:
        return None
    body: Message = getattr(message, field.name)
    return body


def _required_tag(text: str) -> str:
    found = ENTITY_TAG.fullmatch(text.strip())
    if found is None or found[1]:
        broken = Violation("If-Match", "header.entity_tag", "must be one strong entity tag")
        raise FieldInvalid(broken)
    return found[2]


def _resume(message: Message, binding: Binding, last: str) -> None:
    if "after_cursor" in message.DESCRIPTOR.fields_by_name:
        try:
            message.after_cursor = last.encode("latin-1").decode()  # type: ignore[attr-defined]
        except UnicodeDecodeError as error:
            raise FieldInvalid(
                Violation("Last-Event-ID", "string.utf8", "must be UTF-8")
            ) from error
    elif "cursor" in binding.method.output_type.fields_by_name:
        raise FieldInvalid(
            Violation(
                "Last-Event-ID", "header.unknown", "resume with the method that takes a cursor"
            )
        )
