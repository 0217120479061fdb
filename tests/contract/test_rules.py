"""What requests are refused for, rule by rule, before any service sees them."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from protovalidate import Validator

from forebay.ingest.v1 import (
    DeleteDocumentRequest,
    Document,
    GetDocumentRequest,
    IngestDocumentRequest,
    ListDocumentsRequest,
    StreamDocumentsRequest,
    UpdateDocumentRequest,
)
from forebay.query.v1 import (
    AskRequest,
    CancelQueryRequest,
    GetQueryRequest,
    StreamAnswerRequest,
    SubmitQueryRequest,
)

MIB = 1024 * 1024
V7 = "019aa5f0-7c00-7abc-8def-0123456789ab"
V4 = "019aa5f0-7c00-4abc-8def-0123456789ab"
MILLISECOND = 1_000_000
NAME = "collections/manuals/documents/pump-7"


def submit(**fields: Any) -> SubmitQueryRequest:
    return SubmitQueryRequest(**{"text": "How deep is the basin?", **fields})


def document(**fields: Any) -> Document:
    return Document(**(fields if {"text", "raw"} & set(fields) else {"text": "Deep.", **fields}))


def ingest(**fields: Any) -> IngestDocumentRequest:
    usual = {"parent": "collections/manuals", "document_id": "pump-7", "document": document()}
    return IngestDocumentRequest(**{**usual, **fields})


def holding(**fields: Any) -> IngestDocumentRequest:
    return ingest(document=document(**fields))


def update(*paths: str, request_id: str = "", **document: Any) -> UpdateDocumentRequest:
    return UpdateDocumentRequest(
        document=Document(**{"name": NAME, **document}),
        update_mask=FieldMask(paths=paths),
        request_id=request_id,
    )


ACCEPTED: dict[str, Callable[[], Message]] = {
    "a question": submit,
    "a question of one letter": lambda: submit(text="a"),
    "a question in Han characters": lambda: submit(text="深い?"),
    "the longest question": lambda: submit(text="a" * 16_384),
    "a UUIDv7": lambda: submit(request_id=V7),
    "no request_id": lambda: submit(request_id=""),
    "16 collections": lambda: submit(collections=[f"collections/c{n}" for n in range(16)]),
    "the longest collection id": lambda: submit(collections=["collections/" + "a" * 63]),
    "16 labels": lambda: submit(filter={f"label-{n}": "x" * 255 for n in range(16)}),
    "a label without a value": lambda: submit(filter={"draft": ""}),
    "the server's top_k": lambda: submit(top_k=0),
    "the highest top_k": lambda: submit(top_k=50),
    "the shortest timeout": lambda: submit(timeout=Duration(nanos=100 * MILLISECOND)),
    "the longest timeout": lambda: submit(timeout=Duration(seconds=600)),
    "passages alone": lambda: submit(mode=SubmitQueryRequest.MODE_RETRIEVE_ONLY),
    "a question that is followed": lambda: AskRequest(query=submit()),
    "the name of a query": lambda: GetQueryRequest(name="queries/abc"),
    "a cursor": lambda: StreamAnswerRequest(name="queries/abc", after_cursor="a" * 512),
    "a document": ingest,
    "a document of 4 MiB of text": lambda: holding(text="a" * (4 * MIB)),
    "a document of 4 MiB of bytes": lambda: holding(raw=b"a" * (4 * MIB), mime_type="text/html"),
    "64 groups": lambda: holding(readers=[f"group {n}" for n in range(64)]),
    "32 labels of a document": lambda: holding(labels={f"label{n}": "x" for n in range(32)}),
    "the longest title": lambda: holding(title="a" * 1_024),
    "a document of a stream": lambda: StreamDocumentsRequest(sequence=1, ingest=ingest()),
    "the name of a document": lambda: GetDocumentRequest(name=NAME),
    "a version of a document": lambda: GetDocumentRequest(name=NAME, etag=V7),
    "the largest page": lambda: ListDocumentsRequest(parent="collections/a", page_size=1_000),
    "the end of a document": lambda: DeleteDocumentRequest(name=NAME, request_id=V7),
    "a change of visibility": lambda: update("visibility"),
    "a change of all that can change": lambda: update("visibility", "readers", "labels"),
    "a change of what has an etag": lambda: update("labels", etag=V7),
}

REFUSED: dict[str, tuple[Callable[[], Message], str]] = {
    "no question": (lambda: submit(text=""), "text"),
    "white space": (lambda: submit(text=" \t\r\n\f\v"), "text"),
    "white space of Unicode": (lambda: submit(text="\u00a0\u2003\u3000\u2028"), "text"),
    "nothing visible": (lambda: submit(text="\u200b\u0085"), "text"),
    "a question of 100 kB": (lambda: submit(text="a" * 100_000), "text"),
    "one byte too many": (lambda: submit(text="a" * 16_385), "text"),
    "too many bytes in few characters": (lambda: submit(text="深" * 5_462), "text"),
    "a UUIDv4": (lambda: submit(request_id=V4), "request_id"),
    "a UUIDv7 in upper case": (lambda: submit(request_id=V7.upper()), "request_id"),
    "a UUIDv7 in braces": (lambda: submit(request_id="{" + V7 + "}"), "request_id"),
    "a UUIDv7 without hyphens": (lambda: submit(request_id=V7.replace("-", "")), "request_id"),
    "a UUIDv7 and a line end": (lambda: submit(request_id=V7 + "\n"), "request_id"),
    "a UUIDv7 of another variant": (
        lambda: submit(request_id="019aa5f0-7c00-7abc-cdef-0123456789ab"),
        "request_id",
    ),
    "17 collections": (
        lambda: submit(collections=[f"collections/c{n}" for n in range(17)]),
        "collections",
    ),
    "a collection twice": (lambda: submit(collections=["collections/a"] * 2), "collections"),
    "a bare collection id": (lambda: submit(collections=["a"]), "collections"),
    "every collection": (lambda: submit(collections=["collections/-", "*"]), "collections"),
    "a collection in upper case": (lambda: submit(collections=["collections/A"]), "collections"),
    "a collection of 64 letters": (
        lambda: submit(collections=["collections/" + "a" * 64]),
        "collections",
    ),
    "a collection with a path": (lambda: submit(collections=["collections/a/.."]), "collections"),
    "17 labels": (lambda: submit(filter={f"label-{n}": "" for n in range(17)}), "filter"),
    "a label in upper case": (lambda: submit(filter={"Team": "x"}), "filter"),
    "a label without a name": (lambda: submit(filter={"": "x"}), "filter"),
    "a label's value of 256 bytes": (lambda: submit(filter={"team": "x" * 256}), "filter"),
    "a negative top_k": (lambda: submit(top_k=-1), "top_k"),
    "a top_k of 51": (lambda: submit(top_k=51), "top_k"),
    "an unknown mode": (lambda: submit(mode=9), "mode"),
    "99 ms": (lambda: submit(timeout=Duration(nanos=99 * MILLISECOND)), "timeout"),
    "no time at all": (lambda: submit(timeout=Duration()), "timeout"),
    "over ten minutes": (lambda: submit(timeout=Duration(seconds=600, nanos=1)), "timeout"),
    "a negative timeout": (lambda: submit(timeout=Duration(seconds=-1)), "timeout"),
    "nothing to follow": (AskRequest, "query"),
    "a bad question to follow": (lambda: AskRequest(query=submit(text=" ")), "query"),
    "no name": (GetQueryRequest, "name"),
    "a name of 257 bytes": (lambda: GetQueryRequest(name="queries/" + "a" * 249), "name"),
    "no name to cancel": (CancelQueryRequest, "name"),
    "no name to follow": (StreamAnswerRequest, "name"),
    "a cursor of 513 bytes": (
        lambda: StreamAnswerRequest(name="queries/abc", after_cursor="a" * 513),
        "after_cursor",
    ),
    "no collection": (lambda: ingest(parent=""), "parent"),
    "a collection with a slash": (lambda: ingest(parent="collections/a/b"), "parent"),
    "a collection and a line end": (lambda: ingest(parent="collections/a\n"), "parent"),
    "no document id": (lambda: ingest(document_id=""), "document_id"),
    "a document id in upper case": (lambda: ingest(document_id="Pump"), "document_id"),
    "a document id with a slash": (lambda: ingest(document_id="pump/7"), "document_id"),
    "a document id with an at sign": (lambda: ingest(document_id="pump@7"), "document_id"),
    "a document id of 64 letters": (lambda: ingest(document_id="a" * 64), "document_id"),
    "a request_id that is a UUIDv4": (lambda: ingest(request_id=V4), "request_id"),
    "no document": (
        lambda: IngestDocumentRequest(parent="collections/a", document_id="b"),
        "document",
    ),
    "a document without content": (lambda: ingest(document=Document(title="x")), "document"),
    "4 MiB of text and a byte": (lambda: holding(text="a" * (4 * MIB + 1)), "document"),
    "4 MiB and a byte": (lambda: holding(raw=b"a" * (4 * MIB + 1)), "document"),
    "an unknown MIME type": (lambda: holding(mime_type="image/png"), "document"),
    "a MIME type with a parameter": (
        lambda: holding(mime_type="text/plain; charset=utf-8"),
        "document",
    ),
    "an unknown visibility": (lambda: holding(visibility=7), "document"),
    "65 groups": (lambda: holding(readers=[f"group {n}" for n in range(65)]), "document"),
    "a group twice": (lambda: holding(readers=["a", "a"]), "document"),
    "a group without a name": (lambda: holding(readers=[""]), "document"),
    "a title of 1,025 bytes": (lambda: holding(title="a" * 1_025), "document"),
    "33 labels": (lambda: holding(labels={f"label{n}": "" for n in range(33)}), "document"),
    "a source of 2,049 bytes": (lambda: holding(source_uri="a" * 2_049), "document"),
    "a sequence of 0": (lambda: StreamDocumentsRequest(sequence=0, ingest=ingest()), "sequence"),
    "an empty place in a stream": (lambda: StreamDocumentsRequest(sequence=1), "ingest"),
    "a document's name without its collection": (
        lambda: GetDocumentRequest(name="documents/pump-7"),
        "name",
    ),
    "a version of 65 bytes": (lambda: GetDocumentRequest(name=NAME, etag="a" * 65), "etag"),
    "a page of 1,001": (
        lambda: ListDocumentsRequest(parent="collections/a", page_size=1_001),
        "page_size",
    ),
    "a negative page": (
        lambda: ListDocumentsRequest(parent="collections/a", page_size=-1),
        "page_size",
    ),
    "a list of nothing": (ListDocumentsRequest, "parent"),
    "the end of nothing": (DeleteDocumentRequest, "name"),
    "a change of nothing": (update, "update_mask"),
    "a change without a mask": (
        lambda: UpdateDocumentRequest(document=Document(name=NAME)),
        "update_mask",
    ),
    "a change of the title": (lambda: update("visibility", "title"), "update_mask"),
    "a change of everything": (lambda: update("*"), "update_mask"),
    "a change of a part of a label": (lambda: update("labels.team"), "update_mask"),
    "a change of no document": (lambda: update("labels", name=""), "document"),
    "a change of a collection": (lambda: update("labels", name="collections/a"), "document"),
    "a change to 65 groups": (
        lambda: update("readers", readers=[f"group {n}" for n in range(65)]),
        "document",
    ),
    "a change with a UUIDv4": (lambda: update("labels", request_id=V4), "request_id"),
    "the end of a collection": (lambda: DeleteDocumentRequest(name="collections/a"), "name"),
}


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator()


@pytest.mark.parametrize("request_of", ACCEPTED.values(), ids=ACCEPTED)
def test_it_is_accepted(validator: Validator, request_of: Callable[[], Message]) -> None:
    assert validator.collect_violations(request_of()) == []


@pytest.mark.parametrize(("request_of", "field"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused(validator: Validator, request_of: Callable[[], Message], field: str) -> None:
    violations = validator.collect_violations(request_of())
    paths = [violation.proto.field for violation in violations]
    first = {path.elements[0].field_name for path in paths if path is not None}
    assert first == {field}
