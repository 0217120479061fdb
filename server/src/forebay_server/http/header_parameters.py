"""The headers that mean something to a method, as OpenAPI parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from forebay_server.http.bindings import Binding
from forebay_server.http.field_schemas import Schema

TEXTS = {
    "Idempotency-Key": "The same as request_id: makes a retry harmless.",
    "If-Match": "The etag that the resource must still have.",
    "If-None-Match": "An etag that is known already: then the answer is 304, without a body.",
    "Last-Event-ID": "The id of the last event that was seen; beats afterCursor.",
    "Prefer": "`wait=N` waits up to N seconds, at most 60, until the resource has its last state.",
}
# RFC 9110, section 8.8.3; an empty header is none.
PATTERNS = {"If-Match": r'^("[\x21\x23-\x7e]*")?$'}
# Those whose value is that of a field, and nothing around it.
FIELDS = {"Idempotency-Key": "request_id", "Last-Event-ID": "after_cursor"}


def header_parameters(
    binding: Binding, schema_of: Callable[[FieldDescriptor], Schema], *, can_wait: bool
) -> list[dict[str, Any]]:
    """The parameters, by what the method's request and response have."""

    def schema(name: str) -> Schema:
        field = _field(binding, FIELDS.get(name, ""))
        if field is not None:
            return schema_of(field)
        pattern = PATTERNS.get(name)
        return {"type": "string", **({"pattern": pattern} if pattern else {})}

    wanted = {
        "Idempotency-Key": _field(binding, "request_id") is not None,
        "If-Match": binding.verb != "GET" and _field(binding, "etag") is not None,
        "If-None-Match": may_be_known(binding),
        "Last-Event-ID": _field(binding, "after_cursor") is not None,
        "Prefer": can_wait,
    }
    return [
        {"name": name, "in": "header", "description": text, "schema": schema(name)}
        for name, text in TEXTS.items()
        if wanted[name]
    ]


def may_be_known(binding: Binding) -> bool:
    """Whether a client may say which state of the resource it has (RFC 9110, section 13.1.2)."""
    return binding.verb == "GET" and "etag" in binding.method.output_type.fields_by_name


def _field(binding: Binding, name: str) -> FieldDescriptor | None:
    """The field of that name in the request, or in what its body is."""
    body = binding.body_field
    messages = [binding.method.input_type, None if body is None else body.message_type]
    found = [message.fields_by_name.get(name) for message in messages if message is not None]
    return next(filter(None, found), None)
