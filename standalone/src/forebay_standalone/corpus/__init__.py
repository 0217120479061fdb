"""The prose of a fictional power plant, in three visibilities, and the question asked of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files

from forebay.client.document import NewDocument, VisibilityName

COLLECTION = "aldersund"
VISIBILITIES: tuple[VisibilityName, ...] = ("public", "internal", "confidential")
MIME_TYPES = {".md": "text/markdown", ".html": "text/html", ".txt": "text/plain"}


@dataclass(frozen=True)
class Questions:
    """A question, and by tier (free, standard, enterprise) the fact that it alone adds."""

    question: str
    facts: Mapping[str, str]


def questions() -> Questions:
    """The question that is asked in every tier."""
    read = json.loads(files(__name__).joinpath("facts.json").read_text())
    return Questions(read["question"], read["facts"])


def documents() -> Iterator[NewDocument]:
    """Every document with the visibility of its folder."""
    for visibility in VISIBILITIES:
        for path in sorted(files(__name__).joinpath(visibility).iterdir(), key=lambda p: p.name):
            name, _, ending = path.name.rpartition(".")
            yield NewDocument(
                COLLECTION,
                name,
                text=path.read_text(),
                title=name.replace("-", " ").capitalize(),
                mime_type=MIME_TYPES[f".{ending}"],
                visibility=visibility,
            )
