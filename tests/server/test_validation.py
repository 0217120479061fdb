from collections.abc import Iterator

import pytest
from buf.validate import validate_pb2
from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from forebay.ingest.v1 import Document, IngestDocumentRequest
from forebay.pipeline.v1 import ListDeadLettersRequest
from forebay.query.v1 import AskRequest, SubmitQueryRequest
from forebay_server.composition import INGEST_SERVICE, QUERY_SERVICE
from forebay_server.errors import DocumentTooLarge, FieldInvalid
from forebay_server.governance.validation import MAX_VIOLATIONS, RequestValidator

validator = RequestValidator()
LIMIT = 4 * 1024 * 1024


def ingest(**document: object) -> IngestDocumentRequest:
    return IngestDocumentRequest(
        parent="collections/documents",
        document_id="a",
        document=Document(**document),  # type: ignore[arg-type]
    )


def broken(message: object) -> dict[str, str]:
    with pytest.raises(FieldInvalid) as refused:
        validator.validate(message)  # type: ignore[arg-type]
    return {violation.field: violation.rule for violation in refused.value.violations}


def test_a_request_that_keeps_the_rules_passes() -> None:
    validator.validate(ingest(text="x" * LIMIT, labels={"team": "ops"}))


def test_a_field_is_named_as_people_write_it() -> None:
    asked = AskRequest(query=SubmitQueryRequest(text="x", top_k=51))
    assert broken(asked) == {"query.top_k": "int32.gte_lte"}
    assert broken(ingest(text="x", labels={'A"b': "c"})) == {
        'document.labels["A\\"b"]': "string.pattern"
    }
    assert broken(ingest(text="x", readers=["a", ""])) == {"document.readers[1]": "string.min_len"}


def test_the_first_broken_field_stands_in_the_metadata() -> None:
    with pytest.raises(FieldInvalid) as refused:
        validator.validate(SubmitQueryRequest(text=" \t"))
    assert refused.value.metadata == {"field": "text", "rule": "string.visible"}


def test_content_over_the_limit_is_a_document_too_large() -> None:
    for content in ({"raw": b"x" * (LIMIT + 1)}, {"text": "x" * (LIMIT + 1)}):
        with pytest.raises(DocumentTooLarge) as refused:
            validator.validate(ingest(**content))
        assert refused.value.metadata == {"limit_bytes": str(LIMIT)}


def test_a_request_with_many_faults_names_the_first_of_them() -> None:
    faults = broken(ingest(text="x", labels={f"K{number}": "v" for number in range(30)}))
    assert len(faults) == MAX_VIOLATIONS


def test_what_a_client_sent_is_not_repeated_to_it() -> None:
    for request in (
        SubmitQueryRequest(text="x", request_id="swordfish"),
        SubmitQueryRequest(text="x", collections=["Swordfish!"]),
        ingest(text="x", mime_type="swordfish"),
        ingest(text="x", labels={"team": "swordfish" * 99}),
    ):
        with pytest.raises(FieldInvalid) as refused:
            validator.validate(request)
        said = f"{refused.value} {refused.value.metadata} {refused.value.violations}"
        assert "swordfish" not in said.lower()


PIPELINE_SERVICE = ListDeadLettersRequest.DESCRIPTOR.file.services_by_name["PipelineService"]
METHODS = [
    served
    for service in (QUERY_SERVICE, INGEST_SERVICE, PIPELINE_SERVICE)
    for served in service.methods
]
JUDGED_AS_A_WHOLE = {"document.name", "ingest.document.name"}  # it must follow from the request
TEXT_BOUNDS = ("len", "len_bytes", "max_len", "max_bytes", "const")


@pytest.mark.parametrize("served", METHODS, ids=lambda served: served.name)
def test_no_field_of_a_request_is_without_a_bound(served: MethodDescriptor) -> None:
    assert set(unbounded(served.input_type)) <= JUDGED_AS_A_WHOLE


def test_the_search_for_fields_without_a_bound_finds_them() -> None:
    found = set(unbounded(validate_pb2.Violation.DESCRIPTOR))
    assert {"field.elements", "field.elements.field_name", "rule_id"} <= found


def unbounded(message: Descriptor, above: str = "", depth: int = 0) -> Iterator[str]:
    for field in message.fields:
        options = field.GetOptions()
        behaviour: list[int] = options.Extensions[field_behavior_pb2.field_behavior]
        # What only the server sets is replaced before anything else sees the message.
        if field_behavior_pb2.OUTPUT_ONLY not in behaviour:
            rules = options.Extensions[validate_pb2.field]
            yield from _unbounded(field, rules, f"{above}{field.name}", depth)


def _unbounded(
    field: FieldDescriptor, rules: validate_pb2.FieldRules, path: str, depth: int
) -> Iterator[str]:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        parts = {"key": rules.map.keys, "value": rules.map.values}
        if not rules.map.HasField("max_pairs"):
            yield path
        yield from (
            f"{path}.{name}"
            for name, part in parts.items()
            if not _bounded(kind.fields_by_name[name], part)
        )
        return
    if field.is_repeated:
        if not rules.repeated.HasField("max_items"):
            yield path
        rules = rules.repeated.items
    if kind is None:
        if not _bounded(field, rules):
            yield path
    elif not kind.full_name.startswith("google.") and depth < 4:
        yield from unbounded(kind, f"{path}.", depth + 1)


def _bounded(field: FieldDescriptor, rules: validate_pb2.FieldRules) -> bool:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return rules.bytes.HasField("max_len")
    if field.type == FieldDescriptor.TYPE_ENUM:
        return rules.enum.defined_only
    if field.type != FieldDescriptor.TYPE_STRING:
        return True
    text = rules.string
    # A pattern bounds a text that it describes from end to end without open repetition.
    closed = text.pattern.startswith("^") and not set(text.pattern) & {"*", "+"}
    named = len(getattr(text, "in")) > 0
    return closed or named or any(rule.name in TEXT_BOUNDS for rule, _ in text.ListFields())
