"""JSON from strangers: what two readers could understand differently is refused (RFC 7493)."""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 32  # tokens and key sets need four; deeper nests exhaust the stacks of some readers


class JsonRefused(ValueError):
    """The bytes are no JSON object that everybody reads alike."""


def parse_object(content: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises JsonRefused for duplicate members, NaN, deep nests, broken Unicode and non-objects.
    """
    try:
        parsed = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
        )
    # Python's parser recurses per level: some thousand brackets exhaust its stack.
    except (ValueError, RecursionError) as error:
        raise JsonRefused("not strict JSON") from error
    if not isinstance(parsed, dict):
        raise JsonRefused("not a JSON object")
    _require_plain(parsed)
    return parsed


def _require_plain(parsed: object) -> None:
    level = [parsed]
    for _ in range(MAX_DEPTH):
        if not level:
            return
        level = [child for value in level for child in _children(value)]
    raise JsonRefused("nested too deep")


def _children(value: object) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list):
        return value
    # An escape can name half of a character, which no reader can write down again.
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise JsonRefused("half of a character") from error
    return []


def _without_duplicates(members: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(members)
    if len(unique) != len(members):
        raise JsonRefused("a member stands there twice")
    return unique


def _refuse_constant(name: str) -> None:
    raise JsonRefused(f"{name} is no JSON")
