"""What each format's text looks like."""

from collections.abc import Sequence
from io import BytesIO

import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from forebay.errors.v1 import ErrorReason
from forebay_workers.parsing.errors import (
    DocumentEmpty,
    DocumentTextTooLarge,
    DocumentUnparseable,
    ParsingError,
)
from forebay_workers.parsing.parsed_document import ParsedDocument
from forebay_workers.parsing.parsers import parse_here

LIMIT = 1024 * 1024


def parse(mime_type: str, content: str | bytes) -> ParsedDocument:
    raw = content.encode() if isinstance(content, str) else content
    return parse_here(mime_type, raw, LIMIT)


def sections(parsed: ParsedDocument) -> list[tuple[tuple[str, ...], str]]:
    raw = parsed.text.encode()
    return [(part.heading_path, raw[part.start : part.end].decode()) for part in parsed.sections]


def pdf_of(pages: Sequence[Sequence[str]], password: str | None = None) -> bytes:
    """Make a PDF whose pages hold these lines of text."""
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
    for lines in pages:
        page = writer.add_blank_page(612, 792)
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        shown = "".join(f"({line}) Tj T* " for line in lines)
        stream.set_data(f"BT /F1 12 Tf 14 TL 72 720 Td {shown}ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
    if password is not None:
        writer.encrypt(user_password=password, owner_password="owner", algorithm="AES-256")
    target = BytesIO()
    writer.write(target)
    return target.getvalue()


def test_plain_text_keeps_every_language_and_settles_line_ends() -> None:
    parsed = parse("text/plain", "\ufeffشكرا\r\nThanks 🎉\rGrüße")  # noqa: RUF001
    assert parsed.text == "شكرا\nThanks 🎉\nGrüße"
    assert sections(parsed) == [((), parsed.text)]


def test_what_postgres_cannot_store_becomes_a_replacement_character() -> None:
    assert parse("text/plain", "a\x00b\x07c\td").text == "a\ufffdb\ufffdc\td"


def test_bytes_that_are_not_utf8_are_named_by_position() -> None:
    with pytest.raises(DocumentUnparseable, match="byte 3 is not UTF-8") as refusal:
        parse("text/plain", b"abc\xff")
    assert refusal.value.reason == ErrorReason.ERROR_REASON_DOCUMENT_UNPARSEABLE
    assert refusal.value.metadata == {"mime_type": "text/plain"}


@pytest.mark.parametrize(
    ("mime_type", "content"),
    [
        ("text/plain", " \n\t "),
        ("text/plain", "\u200b\ufeff"),
        ("text/markdown", "---\n\n"),
        ("text/html", "<p> </p><script>x()</script>"),
        ("application/pdf", pdf_of([[], []])),
    ],
)
def test_a_document_without_a_visible_character_is_empty(
    mime_type: str, content: str | bytes
) -> None:
    with pytest.raises(DocumentEmpty):
        parse(mime_type, content)


@pytest.mark.parametrize(
    ("mime_type", "content"),
    [
        ("text/plain", b"x" * (LIMIT + 1)),
        ("text/markdown", b"word " * LIMIT),
        ("text/html", b"<p>word</p>" * (LIMIT // 5)),
    ],
)
def test_too_much_text_is_refused_with_the_limit_named(mime_type: str, content: bytes) -> None:
    with pytest.raises(DocumentTextTooLarge) as refusal:
        parse(mime_type, content)
    assert refusal.value.metadata == {"limit_bytes": str(LIMIT)}


def test_a_type_without_a_parser_is_unparseable() -> None:
    with pytest.raises(ParsingError, match="no parser"):
        parse("image/png", b"x")


def test_markdown_reads_as_prose_with_its_headings_apart() -> None:
    source = (
        "---\ntitle: T\ntags:\n  - a\n---\nBefore.\n\n# Guide to *Rates*\n\n"
        "See [the page](http://x) and `code`,\nboth.\n\n- one\n- two\n\n1. first\n2. second\n\n"
        "## Table\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx = 1\n```\n"
    )
    assert sections(parse("text/markdown", source)) == [
        ((), "Before."),
        (
            ("Guide to Rates",),
            "See the page and code, both.\n- one\n- two\n1. first\n2. second",
        ),
        (("Guide to Rates", "Table"), "a | b\n1 | 2\n\nx = 1"),
    ]


def test_markdown_between_two_lines_is_no_front_matter() -> None:
    assert "kept" in parse("text/markdown", "---\n\n# kept\n\n---\n\nmore").text


def test_a_heading_with_nothing_under_it_is_content_itself() -> None:
    assert sections(parse("text/markdown", "# Only")) == [((), "Only")]
    assert sections(parse("text/markdown", "# A\n\n## B\n\n## C\n\ntext")) == [
        (("A",), "B"),
        (("A", "C"), "text"),
    ]


def test_html_inside_markdown_loses_its_scripts() -> None:
    parsed = parse("text/markdown", "<div>seen<script>bad()</script></div>\n\nText <b>bold</b>.")
    assert parsed.text == "seen\n\nText bold."


def test_html_gives_what_a_reader_sees_and_nothing_hidden() -> None:
    source = """<!doctype html><title>T</title><style>p{}</style><nav>Menu</nav>
    <h1>Main <em>one</em></h1><p>Some   <b>bold</b>
    text.<br>Next line.</p><ul><li>one<li>two</ul>
    <p hidden>a</p><p style="display: none">b</p><span aria-hidden="true">c</span>
    <p style="font-size:0px">d</p><!-- e --><template>f</template><noscript>g</noscript>
    <h2>Sub</h2><table><tr><th>k</th><th>v</th></tr><tr><td><p>1</p></td><td>2</td></tr></table>
    <pre>a
  b</pre><img alt="A dam">"""
    assert sections(parse("text/html", source)) == [
        (("Main one",), "Some bold text.\nNext line.\n- one\n- two"),
        (("Main one", "Sub"), "k | v\n1 | 2\n\na\n  b\n\nA dam"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        '<meta charset="iso-8859-1"><p>Grüße</p>'.encode("latin-1"),
        "<meta charset='utf-8'><p>Grüße</p>".encode(),
        '<meta http-equiv="Content-Type" content="text/html; charset=utf-8"><p>Grüße'.encode(),
        "<p>Grüße</p>".encode(),
        "<p>Grüße</p>".encode("cp1252"),
        "\ufeff<p>Grüße</p>".encode("utf-16"),
        "<meta charset=hex><p>Grüße</p>".encode(),
        "<meta charset=no-such><p>Grüße</p>".encode(),
    ],
)
def test_html_is_read_in_the_encoding_it_declares(content: bytes) -> None:
    assert parse("text/html", content).text == "Grüße"


def test_html_nested_without_end_is_read_all_the_same() -> None:
    assert parse("text/html", "<div>" * 20_000 + "deep").text == "deep"


def test_pdf_lines_are_joined_to_paragraphs() -> None:
    content = pdf_of(
        [
            [
                "A reservoir stores the water of a whole",
                "season above the dam.",
                "The fore-",
                "bay is small.",
            ]
        ]
    )
    assert "the water of a whole season above the dam." in parse("application/pdf", content).text
    assert "The forebay is small." in parse("application/pdf", content).text


def test_a_pdf_encrypted_with_the_empty_password_is_read() -> None:
    assert parse("application/pdf", pdf_of([["Open to all"]], password="")).text == "Open to all"


def test_a_pdf_that_wants_a_password_says_so() -> None:
    with pytest.raises(DocumentUnparseable, match="password"):
        parse("application/pdf", pdf_of([["Secret"]], password="hidden"))


def test_what_only_claims_to_be_a_pdf_is_unparseable() -> None:
    with pytest.raises(DocumentUnparseable):
        parse("application/pdf", b"this is no PDF")
