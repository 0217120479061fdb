"""What goes wrong goes wrong alike over gRPC and over HTTP: code, reason and all details."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from forebay.ingest.v1 import (
    DeleteDocumentRequest,
    Document,
    GetDocumentRequest,
    IngestDocumentRequest,
    ListDocumentsRequest,
    UpdateDocumentRequest,
)
from forebay.pipeline.v1 import (
    DeadLetterFilter,
    ListDeadLettersRequest,
    PurgeDeadLettersRequest,
    RedriveDeadLettersRequest,
    WatchPipelineRequest,
)
from forebay.policy.v1 import Scope
from forebay.query.v1 import (
    AskRequest,
    CancelQueryRequest,
    GetQueryRequest,
    StreamAnswerRequest,
    SubmitQueryRequest,
)
from forebay_kafka.settings import KafkaSettings
from forebay_postgres import PostgresSettings
from forebay_server.errors import scope_word
from forebay_server.governance.authorisation import method_path
from forebay_server.http.bindings import Binding, bindings_of

from .calls import status_of
from .conftest import Installation
from .http_edge import HttpEdge, bearer, serving
from .http_forms import http_form

# google/rpc/code.proto
STATUSES = {3: 400, 5: 404, 7: 403, 8: 429, 9: 400, 10: 409, 14: 503, 16: 401}
DOCUMENT = "collections/plant/documents/weir"
NEW_ID = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"  # of 2024: out of every window


@pytest.fixture
async def both(
    installation: Installation, kafka: KafkaSettings, postgres_nowhere: PostgresSettings
) -> AsyncIterator[HttpEdge]:
    async with serving(installation.settings, kafka, postgres_nowhere) as built:
        yield built


async def over_grpc(
    edge: HttpEdge, served: MethodDescriptor, message: Message, headers: dict[str, str]
) -> dict[str, Any]:
    # On the wire a unary call is a stream of one message: one kind of stub serves all methods.
    call = edge.channel.stream_stream(method_path(served))(
        iter([message.SerializeToString()]), metadata=tuple(headers.items())
    )
    with pytest.raises(grpc.RpcError) as refused:
        async for _ in call:
            pass
    return dict(MessageToDict(status_of(refused.value)))


async def over_http(
    edge: HttpEdge, binding: Binding, message: Message, headers: dict[str, str]
) -> httpx.Response:
    form = http_form(binding, message)
    return await edge.http.request(
        form.method, form.path, params=form.parameters, json=form.body, headers=headers
    )


async def differences(
    edge: HttpEdge, cases: list[tuple[Binding, Message]], headers: dict[str, str]
) -> list[str]:
    found = []
    for binding, message in cases:
        expected = await over_grpc(edge, binding.method, message, headers)
        answer = await over_http(edge, binding, message, headers)
        expected_status = STATUSES[expected["code"]]
        if any("DOCUMENT_TOO_LARGE" in str(each) for each in expected["details"]):
            expected_status = 413
        if (answer.status_code, answer.json()) != (expected_status, expected):
            found.append(f"{binding.operation_id}: {answer.status_code} {answer.text}\n {expected}")
    return found


def all_bindings(edge: HttpEdge) -> list[Binding]:
    return bindings_of(edge.services)


INVALID: list[Message] = [
    SubmitQueryRequest(),
    SubmitQueryRequest(text="x" * 16_385, top_k=51, collections=["plant", "plant"]),
    SubmitQueryRequest(text="x", filter={"A": "b"}, timeout=Duration(nanos=1), request_id="1"),
    SubmitQueryRequest(text="x\0", mode=7),  # type: ignore[arg-type]
    AskRequest(),
    AskRequest(query=SubmitQueryRequest(text=" ")),
    StreamAnswerRequest(name=f"queries/{'x' * 300}"),
    StreamAnswerRequest(name="queries/x", after_cursor="c" * 513),
    GetQueryRequest(name=f"queries/{'x' * 300}"),
    CancelQueryRequest(name=f"queries/{'é' * 300}"),
    IngestDocumentRequest(parent="collections/Plant", document_id="A"),
    IngestDocumentRequest(
        parent="collections/plant",
        document_id="a",
        document=Document(raw=b"\xff", mime_type="image/png", labels={"x": "\0"}, visibility=9),  # type: ignore[arg-type]
    ),
    IngestDocumentRequest(
        parent="collections/plant", document_id="a", document=Document(raw=b"x" * (1 << 22) + b"x")
    ),
    GetDocumentRequest(name="collections/Plant/documents/weir", etag="e" * 65),
    ListDocumentsRequest(parent="collections/plant", page_size=-1),
    ListDocumentsRequest(parent="collections/plant", page_size=1001, page_token="x" * 513),
    UpdateDocumentRequest(
        document=Document(name=DOCUMENT, title="a"), update_mask=FieldMask(paths=["title"])
    ),
    UpdateDocumentRequest(
        document=Document(name=DOCUMENT, readers=["a", "a"]),
        update_mask=FieldMask(paths=["readers"]),
    ),
    DeleteDocumentRequest(name="collections/plant/documents/WEIR"),
    ListDeadLettersRequest(page_size=2000, filter=DeadLetterFilter(stage="X")),
    WatchPipelineRequest(interval=Duration(seconds=61)),
    RedriveDeadLettersRequest(),
    RedriveDeadLettersRequest(names=["x"], rate=-1.5),
    PurgeDeadLettersRequest(),
]
UNKNOWN: list[Message] = [
    GetQueryRequest(name="queries/unknown"),
    StreamAnswerRequest(name="queries/unknown"),
    CancelQueryRequest(name="queries/unknown"),
    ListDocumentsRequest(parent="collections/plant", page_token="eA"),
    # Nothing answers there: the catalogue's database is down.
    GetDocumentRequest(name=DOCUMENT),
    ListDocumentsRequest(parent="collections/plant"),
]


def cases_of(edge: HttpEdge, messages: list[Message]) -> list[tuple[Binding, Message]]:
    by_request = {binding.method.input_type: binding for binding in all_bindings(edge)}
    return [(by_request[message.DESCRIPTOR], message) for message in messages]


def every_scope(installation: Installation) -> dict[str, str]:
    scopes = " ".join(scope_word(scope) for scope in Scope.values() if scope)
    return bearer(installation.token(scope=scopes))


async def test_an_invalid_request_is_refused_alike(
    both: HttpEdge, installation: Installation
) -> None:
    cases = cases_of(both, INVALID)
    with_rules = {case[0].method.name for case in cases}
    without = {binding.method.name for binding in all_bindings(both)} - with_rules
    assert without == {"GetCaller", "GetPipelineStatus"}
    assert await differences(both, cases, every_scope(installation)) == []


async def test_what_is_not_there_is_not_there_alike(
    both: HttpEdge, installation: Installation
) -> None:
    cases = cases_of(both, UNKNOWN)
    assert await differences(both, cases, every_scope(installation)) == []


async def test_a_request_id_of_long_ago_is_refused_alike(
    both: HttpEdge, installation: Installation
) -> None:
    message = SubmitQueryRequest(text="x", request_id=NEW_ID)
    [(binding, _)] = cases_of(both, [message])
    headers = bearer(installation.token())
    expected = await over_grpc(both, binding.method, message, headers)
    answer = await over_http(both, binding, message, headers)
    assert answer.status_code == 400
    # The server's time, in milliseconds, is another one each time.
    assert reasons(answer.json()) == reasons(expected) == ["REQUEST_ID_OUT_OF_WINDOW"]


def reasons(status: dict[str, Any]) -> list[str]:
    return [detail["reason"] for detail in status["details"] if "reason" in detail]
