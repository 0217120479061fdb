"""Where sentences end, in many languages and in linear time.

Rules after Unicode UAX #29 (sentence boundaries) with the exceptions that matter most in prose:
abbreviations, initials, ordinals and decimal numbers. A wrong cut costs a little reading comfort,
never text: the spans and the white space between them are the whole input.
"""

import re
from collections.abc import Iterator

# A blank line, a mark that needs a space behind it, a list item, or a mark that ends a sentence
# by itself. Runs are tried from their first character only: else a megabyte of blanks or of marks
# would take quadratic time.
_CUT = re.compile(
    r"(?<![^\S\n])[^\S\n]*+\n(?:[^\S\n]*+\n)+"
    r"|(?<![.!?…؟۔])(?P<dot>[.!?…؟۔]++)(?P<close>[\"'”’»)\]]*)(?=\s)"  # noqa: RUF001
    r"|\n(?=[^\S\n]*+(?:[-*•‣]|\d{1,3}[.)])\s)"
    r"|[。！？।॥]+[」』”）]*"  # noqa: RUF001
)
_SHORTEST = 8  # characters; a bare "Yes." or "3)" goes with what follows
_LAST_WORD = 24  # characters looked at before a full stop; abbreviations are shorter
# English, German, French, Spanish, Italian, Dutch, Portuguese.
_ABBREVIATION_LIST = """
mr mrs ms dr prof st sr jr vs etc e.g i.e cf al approx dept est fig figs inc ltd nos vol pp eds
gen sen rep jan feb mar apr jun jul aug sep sept oct nov dec u.s z.b d.h u.a bzw usw evtl ggf nr
abs str tel bd hrsg vgl inkl zzgl mio mrd s.o s.u mme mlle av p.ex env ud uds sra srta pág núm ej
ecc sig dott bijv enz
"""
_ABBREVIATIONS = frozenset(_ABBREVIATION_LIST.split())
_INITIAL_OR_ORDINAL = re.compile(r"(?:^|[\s(.])(?:[^\W\d_]|\d{1,2})$")


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) in characters for each sentence, without the white space around it."""
    start = 0
    for end in _boundaries(text):
        yield from _visible(text, start, end)
        start = end
    yield from _visible(text, start, len(text))


def _boundaries(text: str) -> Iterator[int]:
    last = 0
    for match in _CUT.finditer(text):
        if match.end() - last >= _SHORTEST and not _goes_on(text, match):
            last = match.end()
            yield last


def _goes_on(text: str, match: re.Match[str]) -> bool:
    """Tell whether a full stop belongs to its word and not to the sentence."""
    if match["dot"] is None:
        return False
    following = text[match.end() + 1 : match.end() + 2]
    if following.islower():
        return True
    if match["dot"] != "." or match["close"]:
        return False
    before = text[max(0, match.start() - _LAST_WORD) : match.start()]
    words = before.split()
    last = words[-1].lstrip("(\"'“„«").casefold() if words else ""
    return last in _ABBREVIATIONS or _INITIAL_OR_ORDINAL.search(before) is not None


def _visible(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    stripped = piece.strip()
    if stripped:
        first = start + len(piece) - len(piece.lstrip())
        yield first, first + len(stripped)
