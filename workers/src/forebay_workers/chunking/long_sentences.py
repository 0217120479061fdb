"""Cuts what is longer than a model reads: at spaces, else between characters as people see them."""

import re
import unicodedata
from collections.abc import Iterator

from forebay_workers.models.token_estimate import estimate_tokens

_WORD = re.compile(r"\S+")
_BITE = 64  # bytes of a word without spaces, then packed again: chunks come out nearly full
_LONGEST_CHARACTER = 32  # code points looked back for the start of a cluster; longer ones are cut
_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)


def split_long(text: str, start: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield [start, end) unchanged if it has at most `most` tokens, else spans of words that do."""
    if estimate_tokens(text[start:end]) <= most:
        yield start, end
        return
    for word in _WORD.finditer(text, start, end):
        if word.end() - word.start() <= _BITE // 4 or estimate_tokens(word.group()) <= most:
            yield word.span()
        else:
            yield from _bites(text, word.start(), word.end())


def _bites(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a word into spans of about `_BITE` bytes; a token is never less than a byte."""
    while start < end:
        ascii_part = text[start : start + _BITE].isascii()
        reach = min(end, start + (_BITE if ascii_part else _BITE // 4))
        cut = end if reach == end else _cluster_start(text, start, reach)
        yield start, cut
        start = cut


def _cluster_start(text: str, start: int, index: int) -> int:
    """Move a cut back to the start of the grapheme cluster it falls into (UAX #29, in short)."""
    lowest = max(start, index - _LONGEST_CHARACTER)
    cut = index
    while cut > lowest and _belongs_to_previous(text, cut):
        cut -= 1
    return cut if cut > lowest else index


def _belongs_to_previous(text: str, index: int) -> bool:
    character, previous = text[index], text[index - 1]
    if unicodedata.category(character) in {"Mn", "Mc", "Me"} or _JOINER in (character, previous):
        return True
    if ord(character) in _SKIN_TONES:
        return True
    # A flag is a pair of letters; without counting from the first, both sides stay whole only
    # if a run of them is never cut.
    return ord(character) in _FLAG_LETTERS and ord(previous) in _FLAG_LETTERS
