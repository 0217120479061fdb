import pytest

from forebay.ingest.v1 import Document, IngestDocumentRequest
from forebay.query.v1 import AskRequest, SubmitQueryRequest
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
