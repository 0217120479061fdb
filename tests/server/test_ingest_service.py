import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

from forebay.ingest.v1 import (
    DeleteDocumentRequest,
    Document,
    GetDocumentRequest,
    IngestDocumentRequest,
    IngestServiceStub,
    StreamDocumentsRequest,
    StreamDocumentsResponse,
    UpdateDocumentRequest,
)
from forebay.policy.v1 import Visibility
from forebay.query.v1 import GetCallerRequest, QueryServiceStub
from forebay.records.v1 import DocumentRecord, DocumentUpdate
from forebay_kafka.envelope_files import VerificationKeyFile
from forebay_kafka.records import RecordReader
from forebay_server.request_ids import RequestIds
from forebay_standalone.broker import KafkaBroker

from .calls import bearer, details_of, reason_of, status_of
from .conftest import Installation
from .log import LogReader

CONFIDENTIAL, PUBLIC = Visibility.VISIBILITY_CONFIDENTIAL, Visibility.VISIBILITY_PUBLIC
LIMIT = 4 * 1024 * 1024


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return IngestServiceStub(channel)


@pytest.fixture
def records(installation: Installation) -> RecordReader:
    return RecordReader(VerificationKeyFile(installation.settings.envelope_jwks_file).verifier)


def ingest(**changed: Any) -> IngestDocumentRequest:
    usual = {"parent": "collections/manuals", "document_id": "pump", "document": Document(text="x")}
    return IngestDocumentRequest(**(usual | changed))


async def refused(call: Any) -> Status:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return status_of(error.value)


async def test_a_caller_learns_who_it_is(
    channel: grpc.aio.Channel, installation: Installation
) -> None:
    metadata = bearer(installation.token())
    caller = await QueryServiceStub(channel).GetCaller(GetCallerRequest(), metadata=metadata)
    assert (caller.tenant, caller.subject, caller.tier) == ("acme", "ada", "enterprise")
    assert list(caller.scopes) == ["ask", "ingest"]
    assert (caller.clearance, caller.limits.top_k) == (CONFIDENTIAL, 20)


async def test_an_accepted_document_is_in_the_log_with_its_callers_envelope(
    stub: Any, installation: Installation, log: LogReader, records: RecordReader
) -> None:
    request = ingest(
        document=Document(
            text="Open the valve.",
            readers=["ops"],
            labels={"team": "north"},
            etag="mine",
            state=Document.STATE_INDEXED,
        ),
        request_id=str(RequestIds().fresh()),
    )
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    metadata = (*bearer(installation.token()), ("traceparent", trace), ("x-tenant", "globex"))
    accepted = await stub.IngestDocument(request, metadata=metadata)

    [received] = log.read(DocumentRecord)
    verified = records.read(received)
    record, envelope = verified.message, verified.envelope
    name = "collections/manuals/documents/pump"
    assert isinstance(record, DocumentRecord)
    assert received.key == f"acme/manuals/pump@{request.request_id}".encode()
    assert (record.name, record.version) == (name, request.request_id)
    assert record.document.text == "Open the valve."
    assert (record.document.mime_type, record.document.visibility) == ("text/plain", CONFIDENTIAL)
    assert not record.document.etag
    assert not record.document.state
    assert (envelope.identity.tenant, envelope.identity.subject) == ("acme", "ada")
    assert (envelope.statement.visibility, envelope.statement.readers) == (CONFIDENTIAL, ("ops",))
    assert verified.trace_parent == trace.encode()
    assert not {"authorization", "x-tenant"} & {header for header, _ in received.headers}

    assert (accepted.name, accepted.etag) == (name, request.request_id)
    assert accepted.state == Document.STATE_ACCEPTED
    assert accepted.update_time == record.accept_time
    assert accepted.WhichOneof("content") is None


async def test_a_deletion_is_in_the_log_with_its_callers_envelope(
    stub: Any, installation: Installation, log: LogReader, records: RecordReader
) -> None:
    name = "collections/manuals/documents/pump"
    metadata = bearer(installation.token())
    await stub.DeleteDocument(DeleteDocumentRequest(name=name), metadata=metadata)
    [received] = log.read(DocumentUpdate)
    update = records.read(received).message
    assert isinstance(update, DocumentUpdate)
    assert (update.name, update.WhichOneof("change")) == (name, "deletion")
    assert received.key == f"acme/manuals/pump@{update.version}".encode()


async def test_a_change_of_access_is_in_the_log_with_what_changes_alone(
    stub: Any, installation: Installation, log: LogReader, records: RecordReader
) -> None:
    document = Document(
        name="collections/manuals/documents/pump", labels={"team": "a"}, title="not this"
    )
    request = UpdateDocumentRequest(
        document=document, update_mask=FieldMask(paths=["visibility", "readers"])
    )
    updated = await stub.UpdateDocument(request, metadata=bearer(installation.token()))
    [received] = log.read(DocumentUpdate)
    update = records.read(received).message
    assert isinstance(update, DocumentUpdate)
    assert update.WhichOneof("change") == "access"
    assert update.access.visibility == CONFIDENTIAL  # what is not said is narrow
    assert update.access.HasField("readers")
    assert not update.access.HasField("labels")
    assert (updated.name, updated.etag) == (document.name, update.version)
    assert not updated.labels


async def test_nobody_sets_a_visibility_above_the_own_clearance(
    stub: Any, installation: Installation, log: LogReader
) -> None:
    request = UpdateDocumentRequest(
        document=Document(name="collections/manuals/documents/pump", visibility=CONFIDENTIAL),
        update_mask=FieldMask(paths=["visibility"]),
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.UpdateDocument(request, metadata=bearer(installation.token(tier="standard")))
    assert reason_of(status_of(refused.value)) == "CLEARANCE_TOO_LOW"
    assert log.read(DocumentUpdate) == []


INVALID, DENIED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED
PDF = "application/pdf"


@dataclass(frozen=True)
class Refused:
    reason: str
    names: str = ""
    code: grpc.StatusCode = INVALID
    request: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)


def document(**fields: Any) -> dict[str, Any]:
    return {"document": Document(**fields)}


REFUSED = [
    Refused("CLEARANCE_TOO_LOW", code=DENIED, claims={"tier": "free"}),
    Refused("CLEARANCE_TOO_LOW", code=DENIED, claims={"tier": "standard"}),
    Refused("TIER_UNKNOWN", code=DENIED, claims={"tier": "gold"}),
    Refused("FIELD_INVALID", "document.mime_type", request=document(raw=b"x")),
    Refused("FIELD_INVALID", "document.mime_type", request=document(text="x", mime_type=PDF)),
    Refused("FIELD_INVALID", "document.name", request=document(text="x", name="a/b/documents/c")),
    Refused("FIELD_INVALID", "document.text", request=document(text="x\x00")),
    Refused(
        "FIELD_INVALID", 'document.labels["a"]', request=document(text="x", labels={"a": "\x00"})
    ),
    Refused("FIELD_INVALID", "document", request=document()),
    Refused("FIELD_INVALID", "parent", request={"parent": "collections/A"}),
    Refused(
        "DOCUMENT_TOO_LARGE",
        "document.raw",
        request=document(raw=b"x" * (LIMIT + 1), mime_type=PDF),
    ),
    Refused(
        "REQUEST_ID_OUT_OF_WINDOW",
        "request_id",
        request={"request_id": str(RequestIds(lambda: 1e9).fresh())},
    ),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case.reason}-{case.names}")
async def test_a_refused_document_leaves_nothing_in_the_log(
    stub: Any, installation: Installation, log: LogReader, case: Refused
) -> None:
    metadata = bearer(installation.token(**case.claims))
    status = await refused(stub.IngestDocument(ingest(**case.request), metadata=metadata))
    assert (status.code, reason_of(status)) == (case.code.value[0], case.reason)
    broken = [v.field for bad in details_of(status, BadRequest) for v in bad.field_violations]
    assert broken == ([case.names] if case.names else [])
    assert log.read(DocumentRecord) == []


async def test_a_document_that_the_log_does_not_acknowledge_is_not_accepted(
    stub: Any, installation: Installation, broker: KafkaBroker
) -> None:
    metadata = bearer(installation.token())
    await stub.IngestDocument(ingest(), metadata=metadata)
    broker.suspend()
    try:
        status = await refused(stub.IngestDocument(ingest(), metadata=metadata, timeout=3))
    finally:
        broker.resume()
    assert reason_of(status) == "LOG_UNAVAILABLE"
    assert details_of(status, RetryInfo)


async def test_a_free_caller_may_write_what_everybody_may_read(
    stub: Any, installation: Installation
) -> None:
    request = ingest(document=Document(text="x", visibility=PUBLIC))
    await stub.IngestDocument(request, metadata=bearer(installation.token(tier="free")))


async def test_a_document_of_the_whole_limit_is_taken(
    stub: Any, installation: Installation, log: LogReader
) -> None:
    request = ingest(document=Document(raw=b"x" * LIMIT, mime_type=PDF))
    await stub.IngestDocument(request, metadata=bearer(installation.token()))
    assert len(log.read(DocumentRecord)) == 1


async def streamed(
    stub: Any, requests: AsyncIterator[StreamDocumentsRequest], metadata: Any
) -> tuple[list[StreamDocumentsResponse], Status | None]:
    responses = []
    try:
        async for response in stub.StreamDocuments(requests, metadata=metadata):
            responses.append(response)  # noqa: PERF401 what came before a failure counts
    except grpc.aio.AioRpcError as error:
        return responses, status_of(error)
    return responses, None


async def numbered(
    count: int, change: Callable[[int], IngestDocumentRequest] | None = None
) -> AsyncIterator[StreamDocumentsRequest]:
    for number in range(1, count + 1):
        request = change(number) if change else ingest(document_id=f"d{number}")
        yield StreamDocumentsRequest(sequence=number, ingest=request)


async def test_each_document_of_a_stream_gets_its_response(
    stub: Any, installation: Installation, log: LogReader
) -> None:
    responses, failure = await streamed(stub, numbered(200), bearer(installation.token()))
    assert failure is None
    assert sorted(response.sequence for response in responses) == list(range(1, 201))
    assert {response.document.state for response in responses} == {Document.STATE_ACCEPTED}
    assert len(log.read(DocumentRecord)) == 200


async def test_a_refused_document_ends_nothing(
    stub: Any, installation: Installation, log: LogReader
) -> None:
    def change(number: int) -> IngestDocumentRequest:
        if number == 2:
            return ingest(document=Document(text="x", mime_type=PDF))
        return ingest(document_id="NO" if number == 3 else "d")

    responses, failure = await streamed(stub, numbered(5, change), bearer(installation.token()))
    assert failure is None
    reasons = {r.sequence: reason_of(r.error) for r in responses if r.HasField("error")}
    assert reasons == {2: "FIELD_INVALID", 3: "FIELD_INVALID"}
    assert len(log.read(DocumentRecord)) == 3


async def test_a_sequence_that_does_not_follow_ends_the_stream_after_its_receipts(
    stub: Any, installation: Installation
) -> None:
    async def skipping() -> AsyncIterator[StreamDocumentsRequest]:
        for number in (1, 2, 4, 5):
            yield StreamDocumentsRequest(sequence=number, ingest=ingest())

    responses, failure = await streamed(stub, skipping(), bearer(installation.token()))
    assert sorted(response.sequence for response in responses) == [1, 2]
    assert failure is not None
    assert reason_of(failure) == "SEQUENCE_INVALID"


async def test_a_reader_of_no_responses_is_read_ahead_64_requests(
    stub: Any, installation: Installation
) -> None:
    asked = 0
    stalled = asyncio.Event()

    async def counting() -> AsyncIterator[StreamDocumentsRequest]:
        nonlocal asked
        # Over 64 KiB each, so that HTTP/2's own window holds one at most.
        big = Document(text="x" * 100_000)
        for number in range(1, 400):
            asked = number
            yield StreamDocumentsRequest(sequence=number, ingest=ingest(document=big))
        stalled.set()

    call = stub.StreamDocuments(counting(), metadata=bearer(installation.token()))
    received = 0
    async for _ in call:
        received += 1
        assert asked - received < 64 + 64
    assert received == 399
    assert stalled.is_set()


async def test_the_index_out_of_reach_is_said_so(stub: Any, installation: Installation) -> None:
    request = GetDocumentRequest(name="collections/manuals/documents/pump")
    status = await refused(stub.GetDocument(request, metadata=bearer(installation.token())))
    assert reason_of(status) == "INDEX_UNAVAILABLE"
