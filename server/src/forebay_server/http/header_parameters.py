"""The headers that mean something to a method, as OpenAPI parameters."""

from __future__ import annotations

from typing import Any

from forebay_server.http.bindings import Binding

TEXTS = {
    "Idempotency-Key": "The same as request_id: makes a retry harmless.",
    "If-Match": "The etag that the resource must still have.",
    "If-None-Match": "An etag that is known already: then the answer is 304, without a body.",
    "Last-Event-ID": "The id of the last event that was seen; beats afterCursor.",
    "Prefer": "`wait=N` waits up to N seconds, at most 60, until the resource has its last state.",
}


def header_parameters(binding: Binding, *, can_wait: bool) -> list[dict[str, Any]]:
    """The parameters, by what the method's request and response have."""
    request, response = binding.method.input_type, binding.method.output_type
    wanted = {
        "Idempotency-Key": _has(binding, "request_id"),
        "If-Match": binding.verb != "GET" and _has(binding, "etag"),
        "If-None-Match": binding.verb == "GET" and "etag" in response.fields_by_name,
        "Last-Event-ID": "after_cursor" in request.fields_by_name,
        "Prefer": can_wait,
    }
    return [
        {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
        for name, text in TEXTS.items()
        if wanted[name]
    ]


def _has(binding: Binding, name: str) -> bool:
    body = binding.body_field
    messages = [binding.method.input_type, None if body is None else body.message_type]
    return any(name in message.fields_by_name for message in messages if message is not None)
