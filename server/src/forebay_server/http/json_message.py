"""JSON values as messages: members by either of their names, unknown ones refused by path."""

from __future__ import annotations

from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from forebay_server.errors import FieldInvalid, Violation
from forebay_server.http.field_values import is_one_value, set_value, type_word

MAX_NAME = 64  # of a member that a client made up, as it stands in a refusal


def fill_message(message: Message, value: Any, path: str = "") -> None:  # noqa: ANN401
    """Set the fields that a JSON object names; null is the same as absent.

    Raises FieldInvalid with the path of the field, as in `document.labels["x"]`.
    """
    if not isinstance(value, dict):
        raise _refusal(path, "message.json", "must be a JSON object")
    given: dict[str, str] = {}
    for name, member in value.items():
        field = field_of(descriptor_of(message), name)
        where = joined(path, name if field is None else field.name)
        if field is None:
            raise _refusal(where, "field.unknown", "is no field of the contract")
        if field.name in given:
            raise _refusal(where, "json.duplicate", f"is also given as {given[field.name]}")
        if member is not None:
            given[field.name] = name
            _require_alone(message, field, where)
            fill_field(message, field, member, where)


def field_of(message: Descriptor, name: str) -> FieldDescriptor | None:
    """The field of that name, in camel case or as the contract spells it."""
    found = message.fields_by_camelcase_name.get(name) or message.fields_by_name.get(name)
    if found is not None:
        return found
    return next((field for field in message.fields if field.json_name == name), None)


def descriptor_of(message: Message) -> Descriptor:
    """The message's descriptor, under the one name that it has in descriptors' own stubs."""
    return cast("Descriptor", message.DESCRIPTOR)


def joined(path: str, name: str) -> str:
    """The path of a member; a name that a client made up is cut short."""
    return f"{path}.{name[:MAX_NAME]}" if path else name[:MAX_NAME]


def fill_field(message: Message, field: FieldDescriptor, value: Any, path: str) -> None:  # noqa: ANN401
    """Set one field from a JSON value that is not null. Raises FieldInvalid."""
    if _is_map(field):
        _fill_map(message, field, value, path)
    elif field.is_repeated:
        _fill_list(message, field, value, path)
    elif is_one_value(field.message_type):
        set_value(message, field, value, path)
    else:
        child = getattr(message, field.name)
        child.SetInParent()
        fill_message(child, value, path)


def _fill_list(message: Message, field: FieldDescriptor, value: Any, path: str) -> None:  # noqa: ANN401
    if not isinstance(value, list):
        raise _refusal(path, "repeated.json", "must be a JSON array")
    for number, each in enumerate(value):
        where = f"{path}[{number}]"
        if each is None:
            raise _refusal(where, f"{type_word(field)}.json", "must not be null")
        if is_one_value(field.message_type):
            set_value(message, field, each, where)
        else:
            fill_message(getattr(message, field.name).add(), each, where)


def _fill_map(message: Message, field: FieldDescriptor, value: Any, path: str) -> None:  # noqa: ANN401
    if not isinstance(value, dict):
        raise _refusal(path, "map.json", "must be a JSON object")
    assert field.message_type is not None  # noqa: S101 every map has an entry type
    held = field.message_type.fields_by_name["value"]
    for key, each in value.items():
        where = f'{path}["{key[:MAX_NAME]}"]'
        if each is None:
            raise _refusal(where, f"{type_word(held)}.json", "must not be null")
        if is_one_value(held.message_type):
            _set_entry(message, field, key, each, where)
        else:
            fill_message(getattr(message, field.name)[key], each, where)


def _set_entry(
    message: Message,
    field: FieldDescriptor,
    key: str,
    value: Any,  # noqa: ANN401
    path: str,
) -> None:
    entry = getattr(message, field.name).GetEntryClass()()
    fields = entry.DESCRIPTOR.fields_by_name
    set_value(entry, fields["key"], key, path)
    set_value(entry, fields["value"], value, path)
    getattr(message, field.name)[entry.key] = entry.value


def _require_alone(message: Message, field: FieldDescriptor, path: str) -> None:
    oneof = field.containing_oneof
    if oneof is None:
        return
    other = message.WhichOneof(oneof.name)
    if other is not None:
        raise _refusal(path, "oneof.single", f"must not stand beside {other}")


def _is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and bool(kind.GetOptions().map_entry)


def _refusal(path: str, rule: str, description: str) -> FieldInvalid:
    return FieldInvalid(Violation(path, rule, description))
