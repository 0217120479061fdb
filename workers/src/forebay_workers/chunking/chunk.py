"""A chunk, and what of it is embedded."""

from dataclasses import dataclass
from itertools import groupby

from forebay_workers.models.token_estimate import estimate_tokens

HEADER_TOKENS = 48  # a title and three headings; more would drown a short chunk's own words


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document: the bytes [start, end) of its text, exactly.

    `ordinal` counts the chunks of a document from 0; offsets are in UTF-8 bytes.
    """

    ordinal: int
    heading_path: tuple[str, ...]
    text: str
    start: int
    end: int


def embedding_text(title: str, chunk: Chunk) -> str:
    """Return what is embedded: title and headings on a line, an empty line, the chunk's text.

    A chunk alone often does not say what it is about; its headings do. The line is cut at
    HEADER_TOKENS, from the left, since the nearest heading tells the most. The result depends on
    nothing else, so its hash names the vector.
    """
    given = (" ".join(name.split()) for name in (title, *chunk.heading_path))
    names = [name for name in given if name]
    names = [name for name, _ in groupby(names)]
    line, left = "", HEADER_TOKENS
    for name in reversed(names):
        left -= estimate_tokens(name) + 1
        if left < 0:
            break
        line = f"{name} > {line}" if line else name
    return f"{line}\n\n{chunk.text}" if line else chunk.text
