"""YAML of operators: what a reader could take for something else is refused.

No aliases (a few lines of them unfold to gigabytes), no tags, no key twice, one document. Keys are
text whatever they look like. Of YAML 1.1's plain scalars, numbers in decimal, `true`, `false` and
`null` have a type; everything else is text, so that `010` is not eight and `no` is not false.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml
from yaml import events

MAX_DEPTH = 16  # a policy needs five
NUMBER = re.compile(r"[-+]?(0|[1-9][0-9_]{0,18})(\.[0-9]{1,18})?")  # what 64 bits and a reader hold
WORDS: Mapping[str, bool | None] = {
    "true": True,
    "false": False,
    "null": None,
    "~": None,
    "": None,
}
# libyaml's parser is twenty times as fast, and not built on every platform.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Path = tuple[str | int, ...]


class YamlRefused(ValueError):
    """The text is no YAML that everybody reads alike; `line` counts from 1."""

    def __init__(self, line: int, rule: str) -> None:
        super().__init__(f"line {line}: {rule}")
        self.line = line
        self.rule = rule


@dataclass(frozen=True)
class YamlDocument:
    """What a text says, and on which line each part of it stands, by its path."""

    content: object
    lines: Mapping[Path, int]


def parse_yaml(content: bytes) -> YamlDocument:
    """Parse one document of UTF-8; YamlRefused names line and rule."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise YamlRefused(line, "not UTF-8") from error
    try:
        return _Reading(yaml.parse(text, Loader=LOADER)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise YamlRefused(line, error.problem or "not readable") from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise YamlRefused(line, "a character that YAML does not allow") from error


class _Reading:
    def __init__(self, source: Iterator[events.Event]) -> None:
        self._events = source
        self._lines: dict[Path, int] = {}

    def document(self) -> YamlDocument:
        """The one document of a stream."""
        next(self._events)  # the stream's own beginning
        event = next(self._events)
        if isinstance(event, events.StreamEndEvent):
            return YamlDocument(None, {})
        content = self._value(next(self._events), ())
        next(self._events)  # the document's end
        event = next(self._events)
        if not isinstance(event, events.StreamEndEvent):
            raise YamlRefused(_line(event), "a second document")
        return YamlDocument(content, self._lines)

    def _value(self, event: events.Event, path: Path) -> object:
        _require_plain(event, path)
        self._lines.setdefault(path, _line(event))
        if isinstance(event, events.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, events.SequenceStartEvent):
            return self._sequence(path)
        return _scalar(event)

    def _mapping(self, path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        while not isinstance(event := next(self._events), events.MappingEndEvent):
            _require_plain(event, path)
            if not isinstance(event, events.ScalarEvent):
                raise YamlRefused(_line(event), "a key that is no text")
            key = event.value
            if key in found:
                raise YamlRefused(_line(event), "a key that stands there twice")
            self._lines[(*path, key)] = _line(event)
            found[key] = self._value(next(self._events), (*path, key))
        return found

    def _sequence(self, path: Path) -> list[object]:
        found: list[object] = []
        while not isinstance(event := next(self._events), events.SequenceEndEvent):
            found.append(self._value(event, (*path, len(found))))
        return found


def _require_plain(event: events.Event, path: Path) -> None:
    if isinstance(event, events.AliasEvent):
        raise YamlRefused(_line(event), "an alias; write it out")
    if getattr(event, "tag", None) is not None:
        raise YamlRefused(_line(event), "a tag")
    if len(path) > MAX_DEPTH:
        raise YamlRefused(_line(event), f"nested deeper than {MAX_DEPTH}")


def _scalar(event: events.Event) -> object:
    if not isinstance(event, events.ScalarEvent):
        raise YamlRefused(_line(event), "no value")
    value = event.value
    if event.style:  # in quotes, or a block
        return value
    if value in WORDS:
        return WORDS[value]
    number = NUMBER.fullmatch(value)
    if number is None:
        return value
    return float(value) if number.group(2) else int(value)


def _line(event: events.Event) -> int:
    return 1 if event.start_mark is None else event.start_mark.line + 1
