"""Query strings as fields: dotted, in camel or snake case, repeated where the field is."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from forebay_server.errors import FieldInvalid, Violation
from forebay_server.http.field_values import fits_in_a_parameter, set_word
from forebay_server.http.json_message import MAX_NAME, descriptor_of, field_of
from forebay_server.http.path_templates import BROKEN_ESCAPE

MAX_PARAMETERS = 1_000  # as many as the longest repeated field of the contract holds


def parameters(query: bytes) -> Iterator[tuple[str, str]]:
    """Names and values of a query string, in order. Raises FieldInvalid."""
    parts = [part for part in query.split(b"&") if part]
    if len(parts) > MAX_PARAMETERS:
        raise FieldInvalid(Violation("", "query.count", f"over {MAX_PARAMETERS} parameters"))
    for part in parts:
        name, _, value = part.partition(b"=")
        yield _text(name, ""), _text(value, name.decode("latin-1"))


def fill_from_query(message: Message, query: bytes, taken: frozenset[str]) -> None:
    """Set the fields that a query string names.

    `taken` are paths of fields that come from elsewhere, `*` for all: naming them is an error.
    Raises FieldInvalid with the path of the field.
    """
    seen: set[str] = set()
    for name, value in parameters(query):
        owner, field, path = _find(message, name, taken)
        if not field.is_repeated and path in seen:
            raise FieldInvalid(Violation(path, "query.single", "must be given once"))
        seen.add(path)
        _require_alone(owner, field, path)
        set_word(owner, field, value, path)


def _find(
    message: Message, name: str, taken: frozenset[str]
) -> tuple[Message, FieldDescriptor, str]:
    owner, steps = message, name.split(".")
    names: list[str] = []
    for depth, step in enumerate(steps):
        field = field_of(descriptor_of(owner), step)
        names.append(step if field is None else field.name)
        path = ".".join(names)
        if field is None or path in taken or "*" in taken:
            raise _unknown(name)
        if depth == len(steps) - 1 and fits_in_a_parameter(field.message_type):
            return owner, field, path
        if field.is_repeated or fits_in_a_parameter(field.message_type):
            break
        if depth < len(steps) - 1:
            owner = getattr(owner, field.name)
    raise _unknown(name)


def _unknown(name: str) -> FieldInvalid:
    return FieldInvalid(
        Violation(name[:MAX_NAME], "field.unknown", "is no parameter of the method")
    )


def _require_alone(message: Message, field: FieldDescriptor, path: str) -> None:
    oneof = field.containing_oneof
    other = None if oneof is None else message.WhichOneof(oneof.name)
    if other is not None and other != field.name:
        raise FieldInvalid(Violation(path, "oneof.single", f"must not stand beside {other}"))


def _text(data: bytes, name: str) -> str:
    if BROKEN_ESCAPE.search(data.decode("latin-1")):
        raise FieldInvalid(Violation(name[:MAX_NAME], "query.escape", "holds a broken escape"))
    try:
        return unquote_to_bytes(data.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        broken = Violation(name[:MAX_NAME], "string.utf8", "must be UTF-8")
        raise FieldInvalid(broken) from error
