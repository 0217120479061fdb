"""What parsing makes of a document."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """The bytes [start, end) of the text that stand under one heading.

    `heading_path` holds the headings above them, outermost first; empty before the first one.
    """

    heading_path: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document's text and its sections, in order and without overlap.

    Offsets are in UTF-8 bytes of `text`. Between sections stand headings and white space only, so
    all other text is in one. The text holds no NUL, no C0 control character but tab and line feed,
    and no surrogate: Postgres and protobuf can store it.
    """

    text: str
    sections: tuple[Section, ...]
