"""text/markdown (CommonMark with tables): its prose, without its marks.

People read chunks, and marks cost tokens without meaning; list bullets, code and table cells stay.
"""

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from forebay_workers.parsing.html_text import add_html
from forebay_workers.parsing.parsed_document import ParsedDocument
from forebay_workers.parsing.plain_text import decoded_utf8
from forebay_workers.parsing.text_builder import TextBuilder

MIME_TYPE = "text/markdown"
# Site generators put YAML there, which CommonMark would read as a heading. Only what looks like
# keys counts: a document may as well begin with a line and have another one later.
_FRONT_MATTER = re.compile(
    r"\A---[ \t]*\n(?:[\w.-]+:(?:[ \t].*)?\n(?:(?:[ \t]+\S|- ).*\n)*+)+---[ \t]*(?:\n|\Z)"
)
_INDENT = "  "


def parse_markdown(content: bytes, limit_bytes: int) -> ParsedDocument:
    """Return the text with a section per heading; bytes must be UTF-8 (RFC 7763)."""
    source = decoded_utf8(content, MIME_TYPE).replace("\r\n", "\n")
    reader = _MarkdownReader(TextBuilder(limit_bytes))
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    reader.read(parser.parse(_FRONT_MATTER.sub("", source, count=1)))
    return reader.builder.build()


class _MarkdownReader:
    def __init__(self, builder: TextBuilder) -> None:
        self.builder = builder
        self._heading = 0
        self._lists: list[int | None] = []  # per open list: the next number, None for bullets
        self._bullet = ""
        self._row: list[str] | None = None

    def read(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            match token.type:
                case "heading_open":
                    self._heading = int(token.tag[1:])
                case "heading_close":
                    self._heading = 0
                case "inline":
                    self._inline(token)
                case "fence" | "code_block":
                    self.builder.block(self._take_bullet() + token.content)
                case "html_block":
                    add_html(token.content, self.builder)
                case _:
                    self._structure(token)

    def _structure(self, token: Token) -> None:
        match token.type:
            case "bullet_list_open":
                self._lists.append(None)
            case "ordered_list_open":
                self._lists.append(int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "list_item_open":
                self._bullet = self._next_bullet()
            case "tr_open":
                self._row = []
            case "tr_close":
                self.builder.block(" | ".join(self._row or []), tight=True)
                self._row = None

    def _inline(self, token: Token) -> None:
        text = _plain(token.children or [])
        if self._heading:
            self.builder.heading(self._heading, text)
        elif self._row is not None:
            self._row.append(text)
        else:
            bullet = self._take_bullet()
            self.builder.block(bullet + text, tight=bool(bullet))

    def _next_bullet(self) -> str:
        indent = _INDENT * (len(self._lists) - 1)
        number = self._lists[-1]
        if number is None:
            return f"{indent}- "
        self._lists[-1] = number + 1
        return f"{indent}{number}. "

    def _take_bullet(self) -> str:
        bullet, self._bullet = self._bullet, ""
        return bullet


def _plain(tokens: Sequence[Token]) -> str:
    parts: list[str] = []
    for token in tokens:
        match token.type:
            case "text" | "code_inline" | "text_special":
                parts.append(token.content)
            case "image":
                parts.append(_plain(token.children or []))
            case "softbreak":
                parts.append(" ")
            case "hardbreak":
                parts.append("\n")
    return "".join(parts)
