"""docs/errors.md lists every reason of the contract, and nothing else."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from forebay.errors.v1 import ErrorReason
from forebay_server.http import errors as http_errors
from forebay_server.http.replies import HTTP_STATUSES, REASON_STATUSES

from .reasons import example

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
ROW = re.compile(
    r"\| `(?P<reason>\w+)` \| (?P<code>\w+) \| (?P<http>[^|]+) \| [^|]+ \| `(?P<info>\{.*\})` \|"
)
# What does not come back from a call, or only over gRPC, has no status of HTTP.
NO_STATUS = "-"


@dataclass(frozen=True)
class Row:
    reason: str
    code: str
    http: frozenset[int]
    info: str


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return [
        Row(found["reason"], found["code"], statuses(found["http"]), found["info"])
        for found in ROW.finditer(PAGE.read_text())
    ]


def statuses(column: str) -> frozenset[int]:
    return frozenset() if column == NO_STATUS else frozenset(map(int, column.split(", ")))


def statuses_of(reason: str, code: int) -> frozenset[int]:
    """Every status that a refusal for that reason may have."""
    kinds = [each for each in vars(http_errors).values() if isinstance(each, type)]
    own = {
        each.http_status
        for each in kinds
        if hasattr(each, "http_status")
        and ErrorReason.Name(each.reason) == f"ERROR_REASON_{reason}"
    }
    usual = {REASON_STATUSES.get(reason, HTTP_STATUSES[code])}
    # Over HTTP there is nothing else that could be unknown than a path or a verb.
    return frozenset(own if reason == "METHOD_UNKNOWN" else own | usual)


def test_the_page_and_the_contract_list_the_same_reasons(
    rows: list[Row],
    comments: dict[str, str],
) -> None:
    assert sorted(row.reason for row in rows) == sorted(comments)


def test_the_page_shows_the_example_and_the_code_of_the_contract(
    rows: list[Row],
    comments: dict[str, str],
) -> None:
    for row in rows:
        assert row.info == example(comments[row.reason])
        prose = comments[row.reason].replace(row.info, "")
        assert row.code in prose, row.reason


def test_the_page_names_the_statuses_that_http_answers_with(rows: list[Row]) -> None:
    for row in rows:
        if row.http:
            assert row.http == statuses_of(row.reason, Code.Value(row.code)), row.reason


def test_a_reason_without_a_status_is_one_that_refuses_no_call_over_http(
    rows: list[Row],
    comments: dict[str, str],
) -> None:
    for row in rows:
        elsewhere = "'s error" in comments[row.reason] or "of a stream" in comments[row.reason]
        assert elsewhere == (not row.http), row.reason


def test_the_page_s_example_of_a_refusal_is_a_status() -> None:
    [body] = re.findall(r'^\{"code".*?\]\}$', PAGE.read_text(), re.DOTALL | re.MULTILINE)
    status = json.loads(body)
    assert Status(code=status["code"]).code == Code.Value("RESOURCE_EXHAUSTED")
    assert status["details"][0]["@type"].endswith(ErrorInfo.DESCRIPTOR.full_name)
