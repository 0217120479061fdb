"""The OpenAPI 3.0 document of everything that HTTP serves, made from the contract's descriptors.

`google.api.http` gives paths and bodies, `buf.validate` limits, field behaviour what is required
and read-only, comments the texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.rpc.status_pb2 import Status

from forebay_server.http.bindings import WHOLE, Binding, stream_of
from forebay_server.http.contract_options import field_rules, is_required, message_rules
from forebay_server.http.event_lines import JsonLines, ServerSentEvents
from forebay_server.http.field_schemas import WELL_KNOWN, Schema, field_schema, key_pattern
from forebay_server.http.field_values import fits_in_a_parameter
from forebay_server.http.header_parameters import header_parameters, may_be_known
from forebay_server.http.json_message import descriptor_of
from forebay_server.http.openapi_paths import path_of
from forebay_server.http.requests import JSON

VERSION = "3.0.3"  # the newest that connexion checks
TITLE = "Forebay"
INTRODUCTION = (
    "Governed, streaming access to question answering over your documents: the same contract as "
    "over gRPC. Errors are a google.rpc.Status with one google.rpc.ErrorInfo. In a request, null "
    "is the same as absent."
)
# OpenAPI 3.2 describes streams by one of their events; 3.0 has no way of its own.
SERVER_SENT_EVENT = {
    "type": "object",
    "description": "One event, of which there are many.",
    "properties": {
        "event": {"type": "string", "description": "What happened; `status` for an early end."},
        "id": {"type": "string", "description": "The cursor, for Last-Event-ID."},
        "data": {"type": "string", "description": "The event, or google.rpc.Status, as JSON."},
    },
    "required": ["data"],
}


def openapi(
    bindings: Sequence[Binding], comments: Mapping[str, str], version: str
) -> dict[str, Any]:
    """The document for the bindings, in their order; `comments` go by full name."""
    schemas = Schemas(comments)
    paths: dict[str, dict[str, Any]] = {}
    for binding in bindings:
        operation = _operation(binding, schemas, comments)
        can_wait = stream_of(binding, bindings) is not None
        operation["parameters"] += header_parameters(
            binding, lambda field: field_schema(field, schemas.refer), can_wait=can_wait
        )
        paths.setdefault(path_of(binding).text, {})[binding.verb.lower()] = operation
    tags = {binding.method.containing_service for binding in bindings}
    return {
        "openapi": VERSION,
        "info": {"title": TITLE, "version": version, "description": INTRODUCTION},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [
            {"name": tag.name, "description": comments.get(tag.full_name, tag.name)}
            for tag in sorted(tags, key=lambda tag: str(tag.full_name))
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.all(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


class Schemas:
    """Schemas of messages, each made when it is first referred to."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self._schemas: dict[str, Schema] = {}

    def all(self) -> dict[str, Schema]:
        """Everything that was referred to, by full name."""
        return dict(sorted(self._schemas.items()))

    def refer(self, message: Descriptor) -> Schema:
        """A reference to a message's schema, or the schema of a well-known type."""
        name = message.full_name
        if name in WELL_KNOWN:
            return dict(WELL_KNOWN[name])
        if name not in self._schemas:
            self._schemas[name] = {}  # before its fields, which may refer back to it
            self._schemas[name] = self.of(message, message.fields)
        return {"$ref": f"#/components/schemas/{name}"}

    def of(self, message: Descriptor, fields: Iterable[FieldDescriptor]) -> Schema:
        """The schema of a message with these of its fields."""
        fields = list(fields)
        schema: Schema = {
            "type": "object",
            "properties": {field.json_name: self.field(field) for field in fields},
            "additionalProperties": False,
        }
        if required := [field.json_name for field in fields if is_required(field)]:
            schema["required"] = required
        schema |= _exclusions(message)
        texts = [self._comments.get(message.full_name, "")]
        texts += [f"Rule: {rule.message}." for rule in message_rules(message).cel]
        if text := " ".join(filter(None, texts)):
            schema["description"] = text
        return schema

    def field(self, field: FieldDescriptor) -> Schema:
        """The schema of a field with its description."""
        schema = field_schema(field, self.refer)
        texts = [self._comments.get(field.full_name, "")]
        texts += [f"Rule: {rule.message}." for rule in field_rules(field).cel]
        if field.containing_oneof is not None and len(field.containing_oneof.fields) > 1:
            others = [other.json_name for other in field.containing_oneof.fields]
            texts.append(f"At most one of {', '.join(others)}.")
        if pattern := key_pattern(field):
            texts.append(f"Keys match {pattern}.")
        text = " ".join(filter(None, texts))
        if text and "$ref" in schema:
            schema = {"allOf": [schema]}
        return schema | ({"description": text} if text else {})


def _exclusions(message: Descriptor) -> Schema:
    """That two fields do not stand beside each other; of more, their descriptions alone say it."""
    pairs = [
        [field.json_name for field in oneof.fields]
        for oneof in message.oneofs
        if len(oneof.fields) == 2  # noqa: PLR2004 the pairs of ten would be 45
    ]
    return {"not": {"anyOf": [{"required": pair} for pair in pairs]}} if pairs else {}


def _operation(binding: Binding, schemas: Schemas, comments: Mapping[str, str]) -> dict[str, Any]:
    method = binding.method
    operation: dict[str, Any] = {
        "operationId": binding.operation_id,
        "tags": [method.containing_service.name],
        "summary": method.name,
        "description": comments.get(method.full_name, ""),
        "parameters": [
            *path_of(binding).parameters,
            *_query_parameters(binding, schemas),
        ],
        "responses": _responses(binding, schemas),
    }
    if binding.body:
        content = {JSON: {"schema": _body_schema(binding, schemas)}}
        operation["requestBody"] = {"required": _needs_body(binding), "content": content}
    return operation


def _bound(binding: Binding) -> frozenset[str]:
    return frozenset(variable.field for variable in binding.template.variables)


def _body_schema(binding: Binding, schemas: Schemas) -> Schema:
    field = binding.body_field
    if field is not None:
        return schemas.field(field)
    request, bound = binding.method.input_type, _bound(binding)
    return schemas.of(request, [field for field in request.fields if field.name not in bound])


def _needs_body(binding: Binding) -> bool:
    if binding.body_field is not None:
        return is_required(binding.body_field)
    bound = _bound(binding)
    fields = binding.method.input_type.fields
    return any(is_required(field) and field.name not in bound for field in fields)


def _query_parameters(binding: Binding, schemas: Schemas) -> list[dict[str, Any]]:
    if binding.body == WHOLE:
        return []
    taken = _bound(binding) | {binding.body}
    return [
        {
            "name": name,
            "in": "query",
            "required": is_required(field) and "." not in name and not _is_implied(binding, field),
            "schema": schemas.field(field),
        }
        for name, field in _leaves(binding.method.input_type, "", "", taken)
    ]


def _is_implied(binding: Binding, field: FieldDescriptor) -> bool:
    return binding.verb == "PATCH" and field.name == "update_mask"


def _leaves(
    message: Descriptor, shown: str, path: str, taken: frozenset[str]
) -> Iterator[tuple[str, FieldDescriptor]]:
    for field in message.fields:
        where = f"{path}{field.name}"
        if where in taken:
            continue
        if fits_in_a_parameter(field.message_type):
            yield f"{shown}{field.json_name}", field
        elif not field.is_repeated and shown.count(".") < 2:  # noqa: PLR2004 deep enough to read
            assert field.message_type is not None  # noqa: S101 it does not fit
            yield from _leaves(field.message_type, f"{shown}{field.json_name}.", f"{where}.", taken)


def _responses(binding: Binding, schemas: Schemas) -> dict[str, Any]:
    method = binding.method
    shown = schemas.refer(method.output_type)
    if binding.response_body:
        shown = schemas.field(method.output_type.fields_by_name[binding.response_body])
    default = {
        "description": "What went wrong, with one google.rpc.ErrorInfo.",
        "content": {JSON: {"schema": schemas.refer(descriptor_of(Status()))}},
    }
    if not method.server_streaming:
        good = {"description": "The result.", "content": {JSON: {"schema": shown}}}
        known = {"304": {"description": "It is as If-None-Match says."}}
        return {"200": good, **(known if may_be_known(binding) else {}), "default": default}
    events = {
        "description": "Events, each with this schema, up to the last one.",
        "content": {
            ServerSentEvents.media_type: {"schema": SERVER_SENT_EVENT},
            JsonLines.media_type: {"schema": shown},
        },
    }
    return {"200": events, "204": {"description": "All events were seen."}, "default": default}
