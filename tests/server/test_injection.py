"""Names and keys are made of few characters; texts may hold all others, and are only texts."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from forebay.ingest.v1 import (
    DeleteDocumentRequest,
    Document,
    GetDocumentRequest,
    IngestDocumentRequest,
    ListDocumentsRequest,
    UpdateDocumentRequest,
)
from forebay.query.v1 import SubmitQueryRequest
from forebay_server.errors import FieldInvalid
from forebay_server.governance.validation import RequestValidator

HOSTILE: list[str] = yaml.safe_load((Path(__file__).parents[1] / "hostile_texts.yaml").read_text())
HARMLESS = {"null", "true"}  # words of JSON, and names like any other
NO_KEYS = [*(set(HOSTILE) - HARMLESS), "", "A", "a" * 64, "a\0", "a ", "a\n", "-a"]
NO_NAMES = [*(set(HOSTILE) - HARMLESS), "", "A", "a" * 64, "a\0", "a ", "a\n", "a.b", "a_b"]
PATTERN = "string.pattern"
validator = RequestValidator()
Make = Callable[[str], Message]


def ingest(parent: str = "collections/a", document_id: str = "b", **fields: object) -> Message:
    document = Document(text="x", **fields)  # type: ignore[arg-type]
    return IngestDocumentRequest(parent=parent, document_id=document_id, document=document)


def ask(**fields: object) -> Message:
    return SubmitQueryRequest(text="x", **fields)  # type: ignore[arg-type]


def update(name: str = "collections/a/documents/b", **fields: object) -> Message:
    document = Document(name=name, **fields)  # type: ignore[arg-type]
    mask = FieldMask(paths=["labels", "readers"])
    return UpdateDocumentRequest(document=document, update_mask=mask)


NAMES: dict[str, tuple[Make, str]] = {
    "parent": (lambda text: ingest(parent=f"collections/{text}"), "parent"),
    "document_id": (lambda text: ingest(document_id=text), "document_id"),
    "collections": (lambda text: ask(collections=[f"collections/{text}"]), "collections[0]"),
    "listed": (lambda text: ListDocumentsRequest(parent=f"collections/{text}"), "parent"),
    "collection of a name": (
        lambda text: GetDocumentRequest(name=f"collections/{text}/documents/b"),
        "name",
    ),
    "document of a name": (
        lambda text: DeleteDocumentRequest(name=f"collections/a/documents/{text}"),
        "name",
    ),
    "updated": (lambda text: update(f"collections/{text}/documents/b"), "document"),
}
KEYS: dict[str, Make] = {
    "labels": lambda text: ingest(labels={text: "x"}),
    "filter": lambda text: ask(filter={text: "x"}),
    "updated labels": lambda text: update(labels={text: "x"}),
}
TEXTS: dict[str, Make] = {
    "labels": lambda text: ingest(labels={"k": text}),
    "readers": lambda text: ingest(readers=[text]),
    "filter": lambda text: ask(filter={"k": text}),
    "updated labels": lambda text: update(labels={"k": text}),
    "updated readers": lambda text: update(readers=[text]),
    "question": lambda text: SubmitQueryRequest(text=f"x{text}"),
}


def broken(message: Message) -> tuple[str, str]:
    with pytest.raises(FieldInvalid) as refused:
        validator.validate(message)
    [violation] = refused.value.violations
    return violation.field, violation.rule


@pytest.mark.parametrize("field", NAMES)
def test_a_name_holds_nothing_that_a_database_or_a_path_understands(field: str) -> None:
    make, place = NAMES[field]
    for text in NO_NAMES:
        where, rule = broken(make(text))
        assert where == place, text
        assert rule in (PATTERN, "document.name_pattern"), text


@pytest.mark.parametrize("field", KEYS)
def test_a_labels_key_holds_nothing_that_json_understands(field: str) -> None:
    for text in NO_KEYS:
        place, rule = broken(KEYS[field](text))
        assert rule == PATTERN, text
        assert place.startswith(("document.labels[", "filter[")), text


@pytest.mark.parametrize("field", TEXTS)
def test_a_text_may_hold_all_but_nul(field: str) -> None:
    for text in HOSTILE:
        validator.validate(TEXTS[field](text))
    with pytest.raises(FieldInvalid):
        validator.validate(TEXTS[field]("a\0"))
