"""Which characters a text may hold."""

import re

_LINE_END = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# C0 and C1 controls but tab and line feed, and surrogates: PDF fonts map glyphs to all of them.
_UNSTORABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_INVISIBLE = re.compile(r"[\s\u200b-\u200f\u2060\ufeff\ufffd\u00ad]*")


def storable(text: str) -> str:
    """Return the text with one kind of line end, U+FFFD for what cannot be stored (NUL first)."""
    return _UNSTORABLE.sub("\ufffd", _LINE_END.sub("\n", text))


def is_blank(text: str) -> bool:
    """Tell whether nothing of the text can be seen."""
    return _INVISIBLE.fullmatch(text) is not None
