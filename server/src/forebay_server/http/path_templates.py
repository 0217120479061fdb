"""Path templates of google/api/http.proto: `/v1/{name=queries/*}:stream`.

Paths are matched as they were sent: a `%2F` is no separator, and a `%3A` no verb.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from forebay_server.errors import FieldInvalid, Violation

TOKEN = re.compile(r"\{(?P<field>[A-Za-z_][\w.]*)(?:=(?P<inner>[^{}]*))?\}|(?P<plain>[^{}]+)")
ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
SLASH_ESCAPE = re.compile(r"(%2[Ff])")
UNRESERVED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")


class TemplateInvalid(Exception):
    """The contract holds a path that http.proto does not allow."""

    def __init__(self, template: str) -> None:
        super().__init__(f"{template} is no path template of google.api.http")


@dataclass(frozen=True, slots=True)
class Variable:
    """A field path and what it captures, as in `name` and `queries/*`."""

    field: str
    pattern: str

    @property
    def spans_segments(self) -> bool:
        """Whether slashes belong to the value: then `%2F` stays as it is."""
        return self.pattern != "*"


class PathTemplate:
    """One path template: what it captures from a path, and how OpenAPI writes it."""

    def __init__(self, template: str) -> None:
        self.template = template
        self.variables: list[Variable] = []
        path, self.verb = _without_verb(template)
        self._parts = [self._part(found) for found in _tokens(template, path)]
        verb = re.escape(f":{self.verb}") if self.verb else ""
        self._regex = re.compile("".join(part for part, _ in self._parts) + verb)

    def match(self, path: str) -> Mapping[str, str] | None:
        """The variables of a `routable` path, decoded; None when it is another path.

        Raises FieldInvalid for a value that is no UTF-8.
        """
        found = self._regex.fullmatch(path)
        if found is None:
            return None
        pairs = zip(self.variables, found.groups(), strict=True)
        return {variable.field: _decoded(variable, text) for variable, text in pairs}

    def pieces(self) -> list[str | Variable]:
        """The template's parts in order: literal text, verb included, and variables."""
        pieces: list[str | Variable] = [piece for _, piece in self._parts]
        return [*pieces, f":{self.verb}"] if self.verb else pieces

    def _part(self, found: re.Match[str]) -> tuple[str, str | Variable]:
        if found["field"] is None:
            return _regex_of(self.template, found["plain"]), found["plain"]
        variable = Variable(found["field"], found["inner"] or "*")
        self.variables.append(variable)
        return f"({_regex_of(self.template, variable.pattern)})", variable


def routable(raw_path: bytes) -> str:
    """A path with what needs no escape unescaped (RFC 3986, section 6.2.2.2), and nothing else.

    Raises FieldInvalid for a percent sign that begins no escape.
    """
    path = raw_path.decode("latin-1")
    if BROKEN_ESCAPE.search(path):
        raise FieldInvalid(Violation("", "path.escape", "the path holds a broken escape"))
    return ESCAPE.sub(_unreserved, path)


def _unreserved(found: re.Match[str]) -> str:
    value = int(found[1], 16)
    return chr(value) if value in UNRESERVED else found[0].upper()


def _without_verb(template: str) -> tuple[str, str]:
    path, colon, verb = template.rpartition(":")
    if colon and not {"/", "}"} & set(verb):
        return path, verb
    return template, ""


def _tokens(template: str, path: str) -> list[re.Match[str]]:
    found = list(TOKEN.finditer(path))
    if not path.startswith("/") or sum(len(token[0]) for token in found) != len(path):
        raise TemplateInvalid(template)
    return found


def _regex_of(template: str, pattern: str) -> str:
    if "**" in pattern and not pattern.endswith("**"):
        raise TemplateInvalid(template)
    return "/".join(_segment(template, segment) for segment in pattern.split("/"))


def _segment(template: str, segment: str) -> str:
    if segment == "**":
        return r"[^:]*"
    if segment == "*":
        return r"[^/:]+"  # a colon begins a verb: as a part of an id it comes as %3A
    if "*" in segment:
        raise TemplateInvalid(template)
    return re.escape(segment)


def _decoded(variable: Variable, text: str) -> str:
    kept = SLASH_ESCAPE.split(text) if variable.spans_segments else [text]
    try:
        return "".join(
            part
            if SLASH_ESCAPE.fullmatch(part) and variable.spans_segments
            else unquote_to_bytes(part).decode()
            for part in kept
        )
    except UnicodeDecodeError as error:
        broken = Violation(variable.field, "string.utf8", "must be UTF-8")
        raise FieldInvalid(broken) from error
