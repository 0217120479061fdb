"""Which encoding an HTML document is in (the WHATWG prescan, without the parts nobody uses)."""

import codecs
import re

_PRESCAN_BYTES = 1024  # the standard looks no further for a declaration
_DECLARED = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Labels that browsers read as something wider than they say.
_WIDER = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}


def decoded_html(content: bytes) -> str:
    """Decode by byte order mark, then by meta charset, then as UTF-8, then as windows-1252.

    Never fails: in a declared encoding, wrong bytes become U+FFFD.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace").removeprefix("\ufeff")
    declared = _DECLARED.search(content[:_PRESCAN_BYTES])
    if declared and (name := _python_name(declared[1].decode("ascii"))):
        return content.decode(name, "replace")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _python_name(label: str) -> str | None:
    try:
        codec = codecs.lookup(label)
        "".encode(codec.name)  # not every codec is one of text: `hex`, `zip`
    except LookupError:
        return None
    # A document that could be read up to this declaration is not in UTF-16.
    return "utf-8" if codec.name.startswith("utf-16") else _WIDER.get(codec.name, codec.name)
