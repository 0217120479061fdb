"""What Postgres can hold as text."""

from collections.abc import Mapping, Sequence

from forebay_postgres.errors import InvalidStoredText


def require_storable(field: str, text: str) -> None:
    """Raise InvalidStoredText for a NUL character or an unpaired surrogate in `text`."""
    if "\0" in text or not _is_unicode(text):
        raise InvalidStoredText(field)


def require_all_storable(field: str, texts: Sequence[str]) -> None:
    """Raise InvalidStoredText for the first of `texts` that Postgres cannot hold."""
    for text in texts:
        require_storable(field, text)


def require_storable_labels(labels: Mapping[str, str]) -> None:
    """Raise InvalidStoredText for a label whose key or value Postgres cannot hold."""
    require_all_storable("labels", [*labels.keys(), *labels.values()])


def searchable(question: str) -> str:
    """Return the question without what cannot be searched for: it is asked, never stored."""
    return question.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
