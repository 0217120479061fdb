"""text/plain: UTF-8, with or without a byte order mark."""

from forebay_workers.parsing.errors import DocumentUnparseable
from forebay_workers.parsing.parsed_document import ParsedDocument
from forebay_workers.parsing.text_builder import TextBuilder

MIME_TYPE = "text/plain"


def parse_plain_text(content: bytes, limit_bytes: int) -> ParsedDocument:
    """Return the text as one section.

    Line ends become line feeds; NUL and the other control characters but tab become U+FFFD, since
    Postgres cannot store the first and nobody can read the others. Raises DocumentUnparseable for
    bytes that are not UTF-8: guessing an encoding would store nonsense without a word.
    """
    builder = TextBuilder(limit_bytes)
    builder.block(decoded_utf8(content, MIME_TYPE))
    return builder.build()


def decoded_utf8(content: bytes, mime_type: str) -> str:
    """Decode strictly; the error names the first wrong byte."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        detail = f"byte {error.start} is not UTF-8"
        raise DocumentUnparseable(mime_type, detail) from None
