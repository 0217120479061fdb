"""application/pdf by pypdf: slower than the native readers, and no memory error can break it."""

import re
from io import BytesIO

from pypdf import PasswordType, PdfReader
from pypdf.errors import PyPdfError

from forebay_workers.parsing.errors import DocumentUnparseable
from forebay_workers.parsing.parsed_document import ParsedDocument
from forebay_workers.parsing.text_builder import TextBuilder

MIME_TYPE = "application/pdf"
_SYLLABLE_BREAK = re.compile(r"(?<=[^\W\d_])[-\u00ad]\n(?=[^\W\d_])")
# A line that goes on: long enough to have been broken by the margin, not at an end of sentence.
_BROKEN_LINE = re.compile(r"(?<=[^\n]{30}[^\n.:!?])\n(?=[^\s\-*•])")
_BLANK_LINES = re.compile(r"\n{2,}")


def parse_pdf(content: bytes, limit_bytes: int) -> ParsedDocument:
    """Return the text of all pages as one section, lines joined to paragraphs.

    Raises DocumentUnparseable when it is no PDF or wants a password; a PDF whose pages are
    pictures ends in DocumentEmpty.
    """
    try:
        pages = _pages(content)
    except PyPdfError:
        raise DocumentUnparseable(MIME_TYPE) from None
    builder = TextBuilder(limit_bytes)
    for page in pages.pages:
        for paragraph in _BLANK_LINES.split(_reflowed(page.extract_text())):
            builder.block(paragraph)
    return builder.build()


def _pages(content: bytes) -> PdfReader:
    reader = PdfReader(BytesIO(content))
    # Many PDFs are encrypted with the empty password, which only forbids printing and the like.
    if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
        raise DocumentUnparseable(MIME_TYPE, "it needs a password")
    return reader


def _reflowed(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return _BROKEN_LINE.sub(" ", _SYLLABLE_BREAK.sub("", lines))
