"""JSON from strangers: what two readers could understand differently is refused (RFC 7493)."""

from __future__ import annotations

import json
from typing import Any


class JsonRefused(ValueError):
    """The bytes are no JSON object that everybody reads alike."""


def parse_object(content: bytes) -> dict[str, Any]:
    """Parse a JSON object; JsonRefused for duplicate members, NaN, deep nests and non-objects."""
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
    return parsed


def _without_duplicates(members: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(members)
    if len(unique) != len(members):
        raise JsonRefused("a member stands there twice")
    return unique


def _refuse_constant(name: str) -> None:
    raise JsonRefused(f"{name} is no JSON")
