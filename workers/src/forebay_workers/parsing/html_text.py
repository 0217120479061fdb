"""text/html: what a reader would see, with headings, list items and table rows kept apart."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from forebay_workers.parsing.html_encoding import decoded_html
from forebay_workers.parsing.parsed_document import ParsedDocument
from forebay_workers.parsing.text_builder import TextBuilder

MIME_TYPE = "text/html"
_UNSEEN_LIST = """
head script style noscript template svg math iframe object embed canvas audio video select datalist
textarea button nav dialog
"""
_BLOCK_LIST = """
address article aside blockquote body dd details div dl dt fieldset figcaption figure footer form
header hr li main ol p pre section summary table tbody td tfoot th thead tr ul
"""
_UNSEEN = frozenset(_UNSEEN_LIST.split())
_BLOCKS = frozenset(_BLOCK_LIST.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
# Text that only machines see is how instructions are planted for models.
_HIDING_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?![.\d])|font-size\s*:\s*0(?![.\d])",
    re.IGNORECASE,
)
_SPACE = re.compile(r"[ \t\r\n\f]+")
_SPACE_AROUND_BREAK = re.compile(r" ?\n ?")


def parse_html(content: bytes, limit_bytes: int) -> ParsedDocument:
    """Return the visible text with a section per heading. Any bytes are HTML of some kind."""
    builder = TextBuilder(limit_bytes)
    add_html(decoded_html(content), builder)
    return builder.build()


def add_html(source: str, builder: TextBuilder) -> None:
    """Add the visible text of a document, or of a fragment inside another format.

    Raises MemoryError when the document's tree does not fit.
    """
    try:
        root = LexborHTMLParser(source).body
    except SelectolaxError:
        # Every text is HTML of some kind, so the parser fails for want of memory alone.
        raise MemoryError from None
    if root is not None:
        _HtmlReader(builder).read(root)


class _HtmlReader:
    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._text: list[str] = []
        self._bullet = ""
        self._cells: list[str] | None = None
        self._preformatted = 0

    def read(self, root: LexborNode) -> None:
        for node, enters in _walk(root):
            tag = node.tag or ""
            if tag == "-text":
                self._text.append(self._visible(node))
            elif enters:
                self._enter(tag, node)
            else:
                self._leave(tag)
        self._flush()

    def _visible(self, node: LexborNode) -> str:
        text = node.text_content or ""
        return text if self._preformatted else _SPACE.sub(" ", text)

    def _enter(self, tag: str, node: LexborNode) -> None:
        if tag == "br":
            self._text.append("\n")
        elif tag == "img":
            self._text.append(node.attributes.get("alt") or "")
        elif tag in _HEADINGS or (tag in _BLOCKS and tag not in {"td", "th"}):
            self._flush()
        if tag == "li":
            self._bullet = "- "
        elif tag == "tr":
            self._cells = []
        elif tag == "pre":
            self._preformatted += 1

    def _leave(self, tag: str) -> None:
        if tag in _HEADINGS:
            self._builder.heading(_HEADINGS[tag], self._take())
        elif tag in {"td", "th"} and self._cells is not None:
            self._cells.append(self._take())
        elif tag == "tr" and self._cells is not None:
            self._builder.block(" | ".join(filter(None, self._cells)), tight=True)
            self._cells = None
        elif tag in _BLOCKS:
            self._flush()
        if tag == "pre":
            self._preformatted -= 1

    def _flush(self) -> None:
        if self._cells is not None:
            self._text.append(" ")  # a paragraph inside a table cell does not end the row
            return
        text = self._take()
        if text:
            self._builder.block(self._bullet + text, tight=bool(self._bullet))
            self._bullet = ""

    def _take(self) -> str:
        text = "".join(self._text)
        self._text = []
        if not self._preformatted:
            text = _SPACE_AROUND_BREAK.sub("\n", re.sub(" {2,}", " ", text)).strip()
        return text


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Visit what can be seen, entering and leaving elements, without recursion.

    Elements nest hundreds of thousands deep in a hostile document.
    """
    path = [root]
    node = root.child
    while path:
        if node is None:
            left = path.pop()
            yield left, False
            node = left.next if path else None
        elif node.tag == "-text":
            yield node, True
            node = node.next
        elif _is_seen(node):
            yield node, True
            path.append(node)
            node = node.child
        else:
            node = node.next


def _is_seen(node: LexborNode) -> bool:
    tag = node.tag or ""
    if tag in _UNSEEN or not node.is_element_node:
        return False
    attributes = node.attributes
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return False
    return not _HIDING_STYLE.search(attributes.get("style") or "")
