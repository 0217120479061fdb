"""Cuts a parsed document into chunks: along headings, between sentences, to a size.

Deterministic and linear in the text. No two chunks overlap: the same bytes twice would be found
twice and paid twice, and headings already give a chunk its context.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from forebay_workers.chunking.chunk import HEADER_TOKENS, Chunk
from forebay_workers.chunking.long_sentences import split_long
from forebay_workers.chunking.sentences import sentence_spans
from forebay_workers.models.token_estimate import estimate_tokens
from forebay_workers.parsing.errors import DocumentTooManyChunks
from forebay_workers.parsing.parsed_document import ParsedDocument, Section

CHUNKING = "headings-sentences-1"  # change it with every change of a chunk's bytes
# A paragraph or two: enough to answer from, small enough that one thought rules its vector.
TARGET_TOKENS = 200
# Above 4 MiB of any prose (5,000 to 7,500; 21,000 in the smallest window), source code (7,000) and
# tables (21,000); a heading for each word would make 230,000, and gigabytes of vectors.
MOST_CHUNKS = 32_768
SMALLEST_WINDOW = 128  # below it, headings would leave no room for text
_BLANKS_PER_TOKEN = 4  # vocabularies have tokens for runs of blanks; line ends are often one each
_RUNT_SHARE = 4  # a last chunk under a quarter of the target joins the one before when it fits


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence or a part of one: [start, end) in UTF-8 bytes of the document's text."""

    start: int
    end: int
    tokens: int


def chunk(
    parsed: ParsedDocument, window_tokens: int, target_tokens: int = TARGET_TOKENS
) -> tuple[Chunk, ...]:
    """Return the chunks of a document in order; every visible character is in exactly one.

    A chunk's `embedding_text` fits `window_tokens` by estimate. Raises DocumentTooManyChunks, and
    ValueError for a window under SMALLEST_WINDOW.
    """
    if window_tokens < SMALLEST_WINDOW:
        raise ValueError(f"a window of {window_tokens} tokens is under {SMALLEST_WINDOW}")
    most = window_tokens - HEADER_TOKENS
    content = parsed.text.encode()
    chunks: list[Chunk] = []
    for section in parsed.sections:
        pieces = _pieces(section, content, min(target_tokens, most))
        for group in _groups(pieces, min(target_tokens, most), most):
            if len(chunks) == MOST_CHUNKS:
                raise DocumentTooManyChunks(MOST_CHUNKS)
            start, end = group[0].start, group[-1].end
            text = content[start:end].decode()
            chunks.append(Chunk(len(chunks), section.heading_path, text, start, end))
    return tuple(chunks)


def _pieces(section: Section, content: bytes, most: int) -> Iterator[_Piece]:
    """Yield the section's sentences, cutting those of more than `most` tokens."""
    text = content[section.start : section.end].decode()
    characters, position = 0, section.start
    for sentence_start, sentence_end in sentence_spans(text):
        for start, end in split_long(text, sentence_start, sentence_end, most):
            # Bytes are counted on from the piece before: encoding from the start each time
            # would make the whole quadratic.
            first = position + len(text[characters:start].encode())
            piece = text[start:end]
            characters, position = end, first + len(piece.encode())
            yield _Piece(first, position, estimate_tokens(piece))


def _groups(pieces: Iterator[_Piece], target: int, most: int) -> list[list[_Piece]]:
    """Pack pieces up to the target; one that is itself larger stands alone."""
    groups: list[list[_Piece]] = []
    sizes: list[int] = []
    for piece in pieces:
        gap = _gap_tokens(groups[-1][-1], piece) if groups else 0
        if groups and sizes[-1] + gap + piece.tokens <= target:
            groups[-1].append(piece)
            sizes[-1] += gap + piece.tokens
        else:
            groups.append([piece])
            sizes.append(piece.tokens)
    if len(groups) > 1 and sizes[-1] < target // _RUNT_SHARE:
        gap = _gap_tokens(groups[-2][-1], groups[-1][0])
        if sizes[-2] + gap + sizes[-1] <= most:
            groups[-2:] = [groups[-2] + groups[-1]]
    return groups


def _gap_tokens(before: _Piece, after: _Piece) -> int:
    """Weigh the white space between two pieces: it stands in the chunk as well."""
    return (after.start - before.end) // _BLANKS_PER_TOKEN
