"""Puts a document's text together, block by block, and remembers where its sections lie."""

import re

from forebay_workers.parsing.characters import is_blank, storable
from forebay_workers.parsing.errors import DocumentEmpty, DocumentTextTooLarge
from forebay_workers.parsing.parsed_document import ParsedDocument, Section

_SPACE = re.compile(r"\s+")
_HEADING_CHARACTERS = 200  # a longer "heading" is a paragraph in large type; it is cut in paths


class TextBuilder:
    """Collects headings and blocks in the order of the document."""

    def __init__(self, limit_bytes: int) -> None:
        """Raise DocumentTextTooLarge as soon as the text is over `limit_bytes`."""
        self._limit = limit_bytes
        self._pieces: list[str] = []
        self._bytes = 0
        self._headings: list[tuple[int, str]] = []
        self._sections: list[Section] = []
        self._section_start: int | None = None
        self._bare_heading: Section | None = None

    def heading(self, level: int, text: str) -> None:
        """Begin a section below the nearest heading of a lower level."""
        line = _SPACE.sub(" ", storable(text)).strip()
        if is_blank(line):
            return
        self._close_section()
        if self._bare_heading and self._headings and self._headings[-1][0] >= level:
            # Nothing stands under that heading, so it is content itself.
            self._sections.append(self._bare_heading)
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        start = self._append(line, "\n\n")
        self._bare_heading = Section(self._path(), start, self._bytes)
        self._headings.append((level, line[:_HEADING_CHARACTERS]))

    def block(self, text: str, *, tight: bool = False) -> None:
        """Add a paragraph; a tight one, such as a list item, follows without a blank line."""
        text = storable(text).strip("\n").rstrip()
        if is_blank(text):
            return
        follows = self._section_start is not None
        start = self._append(text, "\n" if tight and follows else "\n\n")
        self._bare_heading = None
        if self._section_start is None:
            self._section_start = start

    def build(self) -> ParsedDocument:
        """Return the document; raises DocumentEmpty when nothing visible was added."""
        self._close_section()
        if self._bare_heading:
            self._sections.append(self._bare_heading)
        if not self._sections:
            raise DocumentEmpty
        return ParsedDocument("".join(self._pieces), tuple(self._sections))

    def _append(self, text: str, separator: str) -> int:
        """Add text behind a separator and return the byte at which it starts."""
        separator = separator if self._pieces else ""
        size = len(text.encode())
        if self._bytes + len(separator) + size > self._limit:
            raise DocumentTextTooLarge(self._limit)
        self._pieces += [separator, text]
        start = self._bytes + len(separator)
        self._bytes = start + size
        return start

    def _close_section(self) -> None:
        if self._section_start is not None:
            self._sections.append(Section(self._path(), self._section_start, self._bytes))
            self._section_start = None

    def _path(self) -> tuple[str, ...]:
        return tuple(text for _, text in self._headings)
