"""Which parser reads which MIME type."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from forebay_workers.parsing import html_text, markdown, pdf, plain_text
from forebay_workers.parsing.errors import DocumentUnparseable
from forebay_workers.parsing.parsed_document import ParsedDocument

Parser = Callable[[bytes, int], ParsedDocument]

PARSERS: Mapping[str, Parser] = MappingProxyType(
    {
        plain_text.MIME_TYPE: plain_text.parse_plain_text,
        markdown.MIME_TYPE: markdown.parse_markdown,
        html_text.MIME_TYPE: html_text.parse_html,
        pdf.MIME_TYPE: pdf.parse_pdf,
    }
)


def parse_here(mime_type: str, content: bytes, limit_bytes: int) -> ParsedDocument:
    """Parse in this process, without limits of time or memory: for the child process.

    An empty MIME type is text/plain. Raises the tree of `ParsingError` for a document without
    text, and whatever a parser raises for a damaged one.
    """
    mime_type = mime_type or plain_text.MIME_TYPE
    parser = PARSERS.get(mime_type)
    if parser is None:
        raise DocumentUnparseable(mime_type, "there is no parser for this type")
    return parser(content, limit_bytes)
