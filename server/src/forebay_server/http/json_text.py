"""JSON bodies from strangers: what two readers could understand differently is refused (RFC 7493).

Each fault has a rule of its own, so that a client reads in the refusal what is wrong.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from forebay_server.errors import FieldInvalid, Violation

MAX_DEPTH = 32  # the contract's deepest request nests 6 levels
MAX_VALUES = 100_000  # a request at all of the contract's limits has some 3,000

_decoder: json.JSONDecoder


def parse_json(body: bytes) -> Any:  # noqa: ANN401 whatever JSON can hold
    """Parse a JSON text.

    Raises FieldInvalid for broken UTF-8 or syntax, duplicate members, NaN, halves of characters,
    deep nests, too many values, and for text behind the value.
    """
    text = _text(body)
    try:
        value, end = _decoder.raw_decode(text, len(text) - len(text.lstrip(" \t\n\r")))
    # The parser recurses per level; some thousand brackets exhaust its stack.
    except RecursionError as error:
        raise _refusal("json.depth", f"nests deeper than {MAX_DEPTH} levels") from error
    except json.JSONDecodeError as error:
        raise _refusal("json.syntax", f"{error.msg} at character {error.pos}") from error
    except ValueError as error:  # a number with thousands of digits
        raise _refusal("json.number", "a number is too long") from error
    if text[end:].strip(" \t\n\r"):
        raise _refusal("json.trailing", f"something follows the value, at character {end}")
    _require_plain(value)
    return value


def _text(body: bytes) -> str:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refusal("json.utf8", f"no UTF-8 at byte {error.start}") from error
    if text.startswith("\ufeff"):
        raise _refusal("json.byte_order_mark", "must not begin with a byte order mark")
    return text


def _require_plain(value: object) -> None:
    level, count = [value], 0
    for _ in range(MAX_DEPTH + 1):
        count += len(level)
        if count > MAX_VALUES:
            raise _refusal("json.values", f"holds more than {MAX_VALUES} values")
        if not level:
            return
        level = [child for each in level for child in _children(each)]
    raise _refusal("json.depth", f"nests deeper than {MAX_DEPTH} levels")


def _children(value: object) -> list[Any]:
    if isinstance(value, dict):
        for name in value:
            _require_whole(name)
        return list(value.values())
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        _require_whole(value)
    return []


def _require_whole(text: str) -> None:
    # An escape can name half of a character, which no reader can write down again.
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _refusal("json.surrogate", "half of a character stands alone") from error


def _without_duplicates(members: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(members)
    if len(unique) != len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise _refusal("json.duplicate", f"the member `{twice[:64]!a}` stands there twice")
    return unique


def _refuse_constant(name: str) -> NoReturn:
    raise _refusal("json.constant", f"{name} is no JSON")


def _refusal(rule: str, description: str) -> FieldInvalid:
    return FieldInvalid(Violation("", rule, f"the body: {description}"))


_decoder = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
