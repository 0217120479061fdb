"""Chunks: exact, complete, within the window, the same every time."""

import gc
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay_workers.chunking.chunk import Chunk, embedding_text
from forebay_workers.chunking.chunker import MOST_CHUNKS, SMALLEST_WINDOW, chunk
from forebay_workers.chunking.sentences import sentence_spans
from forebay_workers.models.token_estimate import estimate_tokens
from forebay_workers.parsing.errors import DocumentEmpty, DocumentTooManyChunks
from forebay_workers.parsing.parsed_document import ParsedDocument, Section
from forebay_workers.parsing.parsers import parse_here

MIB = 1024 * 1024
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=80),
        st.sampled_from(
            [
                "A sentence. ",
                "\n\n",
                "漢字。",
                "سؤال؟ ",
                "👩‍👩‍👧",
                "x" * 500,
                " " * 300,
                "z.B. ",
                "- item\n",
            ]
        ),
    ),
    max_size=60,
).map("".join)


def parsed(text: str) -> ParsedDocument:
    return ParsedDocument(text, (Section((), 0, len(text.encode())),))


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@given(text=TEXTS, window=st.integers(SMALLEST_WINDOW, 600))
@settings(max_examples=150, deadline=None)
def test_chunks_are_exact_ordered_visible_and_leave_nothing_out(text: str, window: int) -> None:
    text = text.encode("utf-8", "replace").decode()
    content = text.encode()
    chunks = chunk(parsed(text), window)
    end = 0
    for ordinal, piece in enumerate(chunks):
        assert piece.ordinal == ordinal
        assert content[piece.start : piece.end].decode() == piece.text
        assert piece.text.strip() == piece.text != ""
        assert (
            not content[end : piece.start].strip()
            or not content[end : piece.start].decode().strip()
        )
        assert estimate_tokens(embedding_text("t " * 200, piece)) <= window
        end = piece.end
    assert not content[end:].decode().strip()
    assert chunk(parsed(text), window) == chunks


@given(content=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_whatever_html_parses_its_chunks_are_exact(content: bytes) -> None:
    try:
        document = parse_here("text/html", content, MIB)
    except DocumentEmpty:
        return
    for piece in chunk(document, 200):
        assert document.text.encode()[piece.start : piece.end].decode() == piece.text


def test_chunks_carry_the_headings_above_them_and_never_span_two_sections() -> None:
    source = b"intro\n\n# One\n\nfirst\n\n## Deep\n\nsecond\n\n# Two\n\nthird"
    chunks = chunk(parse_here("text/markdown", source, MIB), 512)
    assert [(piece.heading_path, piece.text) for piece in chunks] == [
        ((), "intro"),
        (("One",), "first"),
        (("One", "Deep"), "second"),
        (("Two",), "third"),
    ]


def test_a_long_section_is_cut_between_sentences_near_the_target() -> None:
    text = " ".join(f"This is sentence number {index} of a long section." for index in range(200))
    chunks = chunk(parsed(text), 512)
    assert all(
        piece.text.startswith("This") and piece.text.endswith("section.") for piece in chunks
    )
    assert all(100 <= estimate_tokens(piece.text) <= 260 for piece in chunks)


def test_a_short_remainder_joins_the_chunk_before_it() -> None:
    text = " ".join(
        ["Twelve words stand in this sentence so that ten make a chunk."] * 14 + ["End of it."]
    )
    assert chunk(parsed(text), 512)[-1].text != "End of it."


@pytest.mark.parametrize(
    "unit",
    ["a", "!?", "漢字", "👩‍👩‍👧‍👦", "e\u0301", ". ", " \n", "\n- a", "(.", '."', "A b. "],
    ids=[
        "letters",
        "marks",
        "cjk",
        "families",
        "accents",
        "dots",
        "blanks",
        "items",
        "open",
        "quotes",
        "prose",
    ],
)
def test_time_is_linear_whatever_the_text_is_made_of(unit: str) -> None:
    def seconds(size: int) -> float:
        document = parsed("x" + unit * (size // len(unit.encode())))
        start = time.process_time()
        chunk(document, 512)
        return time.process_time() - start

    # A collection walks over everything that the whole suite has left in memory, and so does not
    # belong to the chunker; the best of three leaves out what else the machine did meanwhile.
    gc.disable()
    try:
        small, large = (min(seconds(size) for _ in range(3)) for size in (50_000, 400_000))
    finally:
        gc.enable()
    assert large < 8 * 4 * max(small, 0.003)  # quadratic would be 64-fold


def test_white_space_without_end_does_not_blow_a_chunk_up() -> None:
    chunks = chunk(parsed("a" + " " * MIB + "b"), 512)
    assert [piece.text for piece in chunks] == ["a", "b"]


def test_a_word_longer_than_the_window_is_never_cut_inside_a_character_people_see() -> None:
    family = "👩‍👩‍👧‍👦"
    chunks = chunk(parsed(family * 500), SMALLEST_WINDOW)
    assert len(chunks) > 1
    assert all(piece.text == family * (len(piece.text) // len(family)) for piece in chunks)


def headings(number: int) -> ParsedDocument:
    """A document of bare headings, each of one character."""
    sections = tuple(Section((), 2 * index, 2 * index + 1) for index in range(number))
    return ParsedDocument("x\n" * number, sections)


def test_a_document_falls_into_no_more_chunks_than_can_be_indexed() -> None:
    assert len(chunk(headings(MOST_CHUNKS), 512)) == MOST_CHUNKS
    with pytest.raises(DocumentTooManyChunks):
        chunk(headings(MOST_CHUNKS + 1), 512)


def test_a_window_too_small_for_any_text_is_refused() -> None:
    with pytest.raises(ValueError, match="window"):
        chunk(parsed("text"), SMALLEST_WINDOW - 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Dr. Smith paid 3.50 to Mr. Jones. He left.",
            ["Dr. Smith paid 3.50 to Mr. Jones.", "He left."],
        ),
        (
            "Am 3. Oktober war z.B. Berlin voll. Es regnete.",
            ["Am 3. Oktober war z.B. Berlin voll.", "Es regnete."],
        ),
        ("Is it open? Yes, until five!", ["Is it open?", "Yes, until five!"]),
        (
            "これは長い最初の文です。これは長い二番目の文です。",
            ["これは長い最初の文です。", "これは長い二番目の文です。"],
        ),
        ("هل هذا سؤال طويل؟ نعم هذا جواب.", ["هل هذا سؤال طويل؟", "نعم هذا جواب."]),
        ("He said “stop it now.” Then he ran.", ["He said “stop it now.”", "Then he ran."]),
        ("A heading line\n\nA paragraph", ["A heading line", "A paragraph"]),
        ("- first item\n- second item", ["- first item", "- second item"]),
        ("J. R. R. Tolkien wrote it. We read it.", ["J. R. R. Tolkien wrote it.", "We read it."]),
    ],
)
def test_sentences_end_where_readers_say(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_what_is_embedded_names_title_and_headings_once_and_is_cut_from_the_left() -> None:
    piece = Chunk(0, ("Guide", "Limits", "Rates"), "Ten a minute.", 0, 13)
    assert embedding_text("Guide", piece) == "Guide > Limits > Rates\n\nTen a minute."
    assert embedding_text("word " * 60, piece).startswith("Guide > Limits > Rates\n\n")
    assert embedding_text("", Chunk(0, (), "Text", 0, 4)) == "Text"


def test_a_missing_title_leaves_no_trace_in_what_is_embedded() -> None:
    piece = Chunk(ordinal=0, heading_path=("Part",), text="Text.", start=0, end=5)
    assert embedding_text("", piece) == "Part\n\nText."


def test_without_title_and_headings_the_text_alone_is_embedded() -> None:
    piece = Chunk(ordinal=0, heading_path=(), text="Text.", start=0, end=5)
    assert embedding_text("", piece) == "Text."
