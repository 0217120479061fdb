"""Fields as OpenAPI 3.0 schemas: their JSON form, their `buf.validate` rules, their behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from buf.validate import validate_pb2
from google.api.field_behavior_pb2 import FieldBehavior
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from forebay_server.http.contract_options import behaviours, field_rules
from forebay_server.http.field_values import MASK_PATH

Schema = dict[str, Any]

INT64_PATTERN = "^-?[0-9]{1,19}$"
WELL_KNOWN: Mapping[str, Schema] = {
    "google.protobuf.Any": {
        "type": "object",
        "required": ["@type"],
        "properties": {"@type": {"type": "string"}},
        "additionalProperties": True,
    },
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]{1,11}(\.[0-9]{1,9})?s$",
        "example": "1.5s",
    },
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.FieldMask": {
        "type": "string",
        "pattern": f"^({MASK_PATH.pattern}(,{MASK_PATH.pattern})*)?$",
        "example": "visibility,labels",
    },
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Value": {},
}
INTEGER: Schema = {"type": "integer", "format": "int32"}
LONG: Schema = {"type": "string", "format": "int64", "pattern": INT64_PATTERN}
SCALARS: Mapping[int, Schema] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "format": "byte"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_INT32: INTEGER,
    FieldDescriptor.TYPE_SINT32: INTEGER,
    FieldDescriptor.TYPE_SFIXED32: INTEGER,
    FieldDescriptor.TYPE_UINT32: {**INTEGER, "minimum": 0},
    FieldDescriptor.TYPE_FIXED32: {**INTEGER, "minimum": 0},
    FieldDescriptor.TYPE_INT64: LONG,
    FieldDescriptor.TYPE_SINT64: LONG,
    FieldDescriptor.TYPE_SFIXED64: LONG,
    FieldDescriptor.TYPE_UINT64: {**LONG, "pattern": "^[0-9]{1,20}$"},
    FieldDescriptor.TYPE_FIXED64: {**LONG, "pattern": "^[0-9]{1,20}$"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
}
NUMBERS = ("double", "float", "int32", "sint32", "sfixed32", "uint32", "fixed32")

Refer = Callable[[Descriptor], Schema]
"""Gives the reference to a message's schema."""


def field_schema(field: FieldDescriptor, refer: Refer) -> Schema:
    """The schema of one field, its description left out."""
    rules = field_rules(field)
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        held = _ruled(_single(entry.fields_by_name["value"], refer), rules.map.values)
        schema: Schema = {"type": "object", "additionalProperties": held}
        _set(schema, "maxProperties", rules.map.max_pairs)
    elif field.is_repeated:
        items = _ruled(_single(field, refer), rules.repeated.items)
        schema = {"type": "array", "items": items}
        _set(schema, "maxItems", rules.repeated.max_items)
        _set(schema, "minItems", rules.repeated.min_items)
        _set(schema, "uniqueItems", rules.repeated.unique)
    else:
        schema = _ruled(_single(field, refer), rules)
    return _marked(schema, behaviours(field))


def key_pattern(field: FieldDescriptor) -> str:
    """The pattern of a map's keys, for which OpenAPI 3.0 has no word; empty without one."""
    pattern: str = field_rules(field).map.keys.string.pattern
    return pattern


def enum_schema(enum: EnumDescriptor) -> Schema:
    """An enum by the names of its values; requests may send their numbers as well."""
    return {"type": "string", "enum": [value.name for value in enum.values]}


def _single(field: FieldDescriptor, refer: Refer) -> Schema:
    if field.enum_type is not None:
        return enum_schema(field.enum_type)
    if field.message_type is None:
        return dict(SCALARS[field.type])
    known = WELL_KNOWN.get(field.message_type.full_name)
    return refer(field.message_type) if known is None else dict(known)


def _ruled(schema: Schema, rules: validate_pb2.FieldRules) -> Schema:
    may_be_empty = rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE
    kind = rules.WhichOneof("type")
    if kind == "string":
        _limit_string(schema, rules.string, may_be_empty=may_be_empty)
    elif kind == "bytes" and rules.bytes.max_len:
        schema["maxLength"] = -(-rules.bytes.max_len // 3) * 4  # as base64
    elif kind == "duration":
        _limit_duration(schema, rules.duration)
    elif kind in NUMBERS:
        _limit_number(schema, getattr(rules, kind))
    return schema


def _limit_string(schema: Schema, rules: validate_pb2.StringRules, *, may_be_empty: bool) -> None:
    _set(schema, "minLength", rules.min_len)
    # A limit in bytes is one in characters too: none takes less than a byte.
    _set(schema, "maxLength", rules.max_len or rules.max_bytes)
    if rules.pattern:
        schema["pattern"] = f"^$|{rules.pattern}" if may_be_empty else rules.pattern
    if getattr(rules, "in"):
        schema["enum"] = [*([""] if may_be_empty else []), *getattr(rules, "in")]


def _limit_duration(schema: Schema, rules: validate_pb2.DurationRules) -> None:
    """As far as a pattern that people can read says it: the sign, and how many digits."""
    if rules.gte.ToNanoseconds() > 0 and rules.lte.seconds:
        schema["pattern"] = rf"^[0-9]{{1,{len(str(rules.lte.seconds))}}}(\.[0-9]{{1,9}})?s$"


def _limit_number(schema: Schema, rules: Any) -> None:  # noqa: ANN401 one of many rule messages
    for name, bound, exclusive in (
        ("gte", "minimum", False),
        ("gt", "minimum", True),
        ("lte", "maximum", False),
        ("lt", "maximum", True),
    ):
        if rules.HasField(name):
            schema[bound] = getattr(rules, name)
            if exclusive:
                schema[f"exclusive{bound.capitalize()}"] = True


def _marked(schema: Schema, marks: set[int]) -> Schema:
    named = {FieldBehavior.OUTPUT_ONLY: "readOnly", FieldBehavior.INPUT_ONLY: "writeOnly"}
    found = {name: True for mark, name in named.items() if mark in marks}
    # Beside a reference everything else is ignored in OpenAPI 3.0.
    return {"allOf": [schema], **found} if found and "$ref" in schema else schema | found


def _set(schema: Schema, name: str, value: object) -> None:
    if value:
        schema[name] = value
