"""Single values of JSON and of query strings as fields (protobuf.dev/programming-guides/json).

The rules are protobuf's own; where its Python reader is more lenient than they are — digits of
other scripts, underscores in numbers, stray characters in base64 — the value is refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from math import isfinite
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from forebay_server.errors import FieldInvalid, Violation

INTEGER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|NaN|-?Infinity", re.ASCII)
MASK_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*", re.ASCII)
URL_SAFE = str.maketrans("-_", "+/")
INTEGERS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)
FLOATS = frozenset({FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE})
# Messages with a JSON form of their own: one value, whatever fields they have.
ONE_VALUE = frozenset(
    f"google.protobuf.{name}"
    for name in (
        "Any",
        "BoolValue",
        "BytesValue",
        "DoubleValue",
        "Duration",
        "FieldMask",
        "FloatValue",
        "Int32Value",
        "Int64Value",
        "ListValue",
        "StringValue",
        "Struct",
        "Timestamp",
        "UInt32Value",
        "UInt64Value",
        "Value",
    )
)
IN_ONE_WORD = ONE_VALUE - {f"google.protobuf.{n}" for n in ("Any", "ListValue", "Struct", "Value")}


def is_one_value(message: Descriptor | None) -> bool:
    """Whether a field of that type holds one value in JSON; scalars have no message type."""
    return message is None or message.full_name in ONE_VALUE


def fits_in_a_parameter(message: Descriptor | None) -> bool:
    """Whether one word can say a value of that type, as in a query string."""
    return message is None or message.full_name in IN_ONE_WORD


def set_value(message: Message, field: FieldDescriptor, value: Any, path: str) -> None:  # noqa: ANN401
    """Set or append one JSON value. Raises FieldInvalid with the path and the value's type."""
    if field.type == FieldDescriptor.TYPE_BYTES:
        _put(message, field, _bytes(value, path))
    elif field.message_type is not None and field.message_type is FieldMask.DESCRIPTOR:
        getattr(message, field.name).paths[:] = _mask_paths(value, path)
    elif field.type == FieldDescriptor.TYPE_STRING and isinstance(value, str):
        _put(message, field, value)
    else:
        _require_exact(field, value, path)
        _parse(message, field, value, path)


def set_word(message: Message, field: FieldDescriptor, word: str, path: str) -> None:
    """Set or append a value from a query string or a path, where everything is text."""
    value: Any = word
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        value = {"true": True, "false": False}.get(word)
    elif field.cpp_type == FieldDescriptor.CPPTYPE_ENUM and INTEGER.fullmatch(word):
        value = int(word)
    elif field.message_type is not None and field.message_type.name == "BoolValue":
        value = {"true": True, "false": False}.get(word)
    if value is None:
        raise _refusal(field, path)
    set_value(message, field, value, path)


def _parse(message: Message, field: FieldDescriptor, value: Any, path: str) -> None:  # noqa: ANN401
    # Into a message of its own: protobuf's reader replaces what a repeated field holds.
    parsed = type(message)()
    try:
        ParseDict({field.name: [value] if field.is_repeated else value}, parsed)
    except (ParseError, ValueError, TypeError, OverflowError) as error:
        raise _refusal(field, path) from error
    message.MergeFrom(parsed)
    if not field.is_repeated and not field.has_presence:
        setattr(message, field.name, getattr(parsed, field.name))


def _put(message: Message, field: FieldDescriptor, value: bytes | str) -> None:
    if field.is_repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


def _require_exact(field: FieldDescriptor, value: object, path: str) -> None:
    if field.cpp_type in INTEGERS:
        fits = _is_number(value) or _is_text_of(INTEGER, value)
    elif field.cpp_type in FLOATS:
        fits = _is_number(value) or (_is_text_of(NUMBER, value) and not _overflows(str(value)))
    elif field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        fits = isinstance(value, str | int) and not isinstance(value, bool)
    else:
        return
    if not fits:
        raise _refusal(field, path)


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text_of(form: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _overflows(text: str) -> bool:
    # It would become infinite without anybody having said so.
    return not text.endswith(("NaN", "Infinity")) and not isfinite(float(text))


def _bytes(value: object, path: str) -> bytes:
    broken = Violation(path, "bytes.base64", "must be base64 (RFC 4648)")
    if not isinstance(value, str):
        raise FieldInvalid(broken)
    text = value.translate(URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise FieldInvalid(broken) from error


def _mask_paths(value: object, path: str) -> list[str]:
    """Paths in camel case, as JSON has them, or as the contract spells them."""
    broken = Violation(path, "field_mask.paths", "must be paths, joined by commas")
    if not isinstance(value, str):
        raise FieldInvalid(broken)
    paths = value.split(",") if value else []
    if not all(MASK_PATH.fullmatch(each) for each in paths):
        raise FieldInvalid(broken)
    return [re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", each) for each in paths]


def _refusal(field: FieldDescriptor, path: str) -> FieldInvalid:
    word = type_word(field)
    return FieldInvalid(Violation(path, f"{word}.json", f"must be a JSON form of {word}"))


def type_word(field: FieldDescriptor) -> str:
    """The field's type in a word: `int64`, `duration`, `enum`."""
    if field.message_type is not None:
        return str(field.message_type.name).lower()
    kinds = {
        getattr(FieldDescriptor, name): name
        for name in dir(FieldDescriptor)
        if name.startswith("TYPE_")
    }
    return str(kinds[field.type]).removeprefix("TYPE_").lower()
