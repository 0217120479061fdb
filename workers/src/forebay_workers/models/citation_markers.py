"""Takes `[n]` markers out of a streamed answer and turns them into citations.

The answer that people see holds no markers: a citation says which bytes rest on which passage,
and a client draws that as it likes.
"""

import re
from collections.abc import Iterator

from forebay_workers.models.generation_model import AnswerPart, CitationMark, TextDelta

_NUMBERS = r"\d{1,3}(?:\s?[,;-]\s?\d{1,3})*"
_MARKER = re.compile(rf"[ \t]{{0,8}}\[(?P<numbers>{_NUMBERS})\]")
# The longest beginning of a marker at the end of what has arrived, white space before it included.
_UNFINISHED = re.compile(r"[ \t]*(?:\[[\d ,;-]*)?\Z")
_LONGEST_WAIT = 32  # characters: an answer of endless blanks is passed on all the same
_STATEMENT_END = re.compile(r"(?:[.!?…][\"'”’»)]*(?=\s)|[。！？؟।]|\n)\s*")  # noqa: RUF001 - marks of other scripts
_VISIBLE = re.compile(r"\w")
_NEVER_A_CITATION = 0  # `[0]` is an index into something; citations start at 1


class CitationMarkers:
    """Reads one answer, chunk by chunk; markers may be split over chunks anywhere."""

    def __init__(self, passages: int) -> None:
        """Accept citations of 1 to `passages` only; higher numbers are dropped as inventions."""
        self._passages = passages
        self._waiting = ""
        self._statement = ""  # since the last statement that a new one followed
        self._statement_start = 0  # bytes of the answer before `_statement`
        self._cited = 0  # characters of `_statement` that a marker already stood behind

    def feed(self, chunk: str) -> Iterator[AnswerPart]:
        """Yield what is certain after `chunk`; the beginning of a marker waits for its end."""
        text = self._waiting + chunk
        unfinished = _UNFINISHED.search(text, max(0, len(text) - _LONGEST_WAIT))
        cut = unfinished.start() if unfinished else len(text)
        self._waiting = text[cut:]
        yield from self._parts(text[:cut])

    def finish(self) -> Iterator[AnswerPart]:
        """Yield what waited: the answer ended, so it is no marker. Trailing space is dropped."""
        text, self._waiting = self._waiting.rstrip(), ""
        yield from self._parts(text)

    def _parts(self, text: str) -> Iterator[AnswerPart]:
        position = 0
        for marker in _MARKER.finditer(text):
            numbers = _numbers(marker["numbers"], self._passages)
            if _NEVER_A_CITATION in numbers:
                continue
            yield from self._delta(text[position : marker.start()])
            position = marker.end()
            yield from self._citations(numbers)
        yield from self._delta(text[position:])

    def _delta(self, text: str) -> Iterator[AnswerPart]:
        if text:
            self._statement += text
            yield TextDelta(text)

    def _citations(self, numbers: list[int]) -> Iterator[AnswerPart]:
        start, end = self._span()
        for number in dict.fromkeys(numbers):
            if number <= self._passages and start < end:
                yield CitationMark(passage=number - 1, start=start, end=end)

    def _span(self) -> tuple[int, int]:
        """Find the last statement in bytes of the answer, and forget the text before it.

        A statement begins behind the sentence before it, or behind the marker before it when one
        sentence holds both; markers side by side share theirs.
        """
        body = self._statement.rstrip()
        begins = 0
        for ending in _STATEMENT_END.finditer(body):
            if ending.end() < len(body):
                begins = ending.end()
        if self._cited > begins and _VISIBLE.search(body, self._cited):
            begins = self._cited
        begins += len(body[begins:]) - len(body[begins:].lstrip())
        self._statement_start += len(self._statement[:begins].encode())
        self._statement = self._statement[begins:]
        self._cited = len(self._statement)
        return self._statement_start, self._statement_start + len(body[begins:].encode())


def _numbers(marker: str, highest: int) -> list[int]:
    """Read `1`, `1, 3` and `2-4`; of a range nothing beyond the highest that counts."""
    found: list[int] = []
    for part in re.split(r"[,;]", marker):
        first, *last = (int(number) for number in part.split("-"))
        found.append(first)
        found.extend(range(first + 1, min(max([first, *last]), highest) + 1))
    return found
