"""Text of documents and answers, made safe for a terminal."""

import unicodedata
from typing import Final

_KEPT = "\n\t"
# These turn the direction of what follows, so that a line reads other than it is.
_TURNING = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C]
_CONTROLS = [
    code
    for code in range(0x100)  # Unicode has no control character (Cc) beyond
    if unicodedata.category(chr(code)) == "Cc" and chr(code) not in _KEPT
]
_REMOVED: Final = dict.fromkeys([*_CONTROLS, *_TURNING])


def plain(text: str) -> str:
    """The text without control characters, line ends and tabs apart.

    Without the escape character no sequence can begin, also when one is split over deltas.
    """
    return text.translate(_REMOVED)


def one_line(text: str, width: int | None = None) -> str:
    """The text on one line, and no longer than `width` characters."""
    line = " ".join(plain(text).split())
    if width is not None and len(line) > width:
        return line[: width - 1].rstrip() + "…"
    return line
