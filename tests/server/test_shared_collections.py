"""What others share with a tenant: the edge lets nobody write it, and says in envelopes who may."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from forebay.ingest.v1 import (
    DeleteDocumentRequest,
    Document,
    IngestDocumentRequest,
    IngestServiceStub,
    StreamDocumentsRequest,
    UpdateDocumentRequest,
)
from forebay.query.v1 import GetCallerRequest, QueryServiceStub, SubmitQueryRequest
from forebay.records.v1 import DocumentRecord, DocumentUpdate, QueryRecord
from forebay_kafka.envelope_files import VerificationKeyFile
from forebay_kafka.identity import Grant
from forebay_kafka.records import RecordReader

from .calls import bearer, details_of, status_of
from .conftest import POLICY, Installation
from .log import LogReader

SHARED = """
shared:
  - {owner: vendor, collection: manuals, alias: vendor-manuals, tenants: [acme]}
  - {owner: rival, collection: manuals, alias: rival-manuals, tenants: [acme]}
"""
ALIAS = "collections/vendor-manuals"
PUMP = f"{ALIAS}/documents/pump"
VENDORS = Grant("vendor-manuals", "vendor", "manuals")
RIVALS = Grant("rival-manuals", "rival", "manuals")


@pytest.fixture
def installation(installation: Installation) -> Installation:
    installation.settings.policy_file.write_text(POLICY + SHARED)
    return installation


@pytest.fixture
def metadata(installation: Installation) -> tuple[tuple[str, str], ...]:
    return bearer(installation.token(tenant="acme"))


Write = Callable[[Any, Any], Awaitable[Any]]


async def ingested(stub: Any, metadata: Any) -> object:
    return await stub.IngestDocument(document(), metadata=metadata)


async def updated(stub: Any, metadata: Any) -> object:
    labels = Document(name=PUMP, labels={"team": "north"})
    mask = FieldMask(paths=["labels"])
    request = UpdateDocumentRequest(document=labels, update_mask=mask)
    return await stub.UpdateDocument(request, metadata=metadata)


async def updated_by_etag(stub: Any, metadata: Any) -> object:
    seen = Document(name=PUMP, etag="019ac3d2-7e00-7000-8000-000000000000")
    mask = FieldMask(paths=["labels"])
    request = UpdateDocumentRequest(document=seen, update_mask=mask)
    return await stub.UpdateDocument(request, metadata=metadata)


async def deleted(stub: Any, metadata: Any) -> object:
    return await stub.DeleteDocument(DeleteDocumentRequest(name=PUMP), metadata=metadata)


def document() -> IngestDocumentRequest:
    return IngestDocumentRequest(parent=ALIAS, document_id="pump", document=Document(text="x"))


def require_refusal(status: Status) -> None:
    [info] = details_of(status, ErrorInfo)
    assert status.code == Code.PERMISSION_DENIED
    assert (info.reason, dict(info.metadata)) == (
        "COLLECTION_READ_ONLY",
        {"collection": "vendor-manuals"},
    )


@pytest.mark.parametrize("write", [ingested, updated, updated_by_etag, deleted])
async def test_what_is_shared_with_a_tenant_is_not_its_to_write(
    write: Write, channel: grpc.aio.Channel, metadata: Any, log: LogReader
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await write(IngestServiceStub(channel), metadata)
    require_refusal(status_of(refused.value))
    assert log.read(DocumentRecord) == log.read(DocumentUpdate) == []


async def test_a_stream_refuses_a_shared_collection_and_goes_on(
    channel: grpc.aio.Channel, metadata: Any, log: LogReader
) -> None:
    own = IngestDocumentRequest(
        parent="collections/manuals", document_id="pump", document=Document(text="x")
    )
    requests = [StreamDocumentsRequest(sequence=1, ingest=document()),
                StreamDocumentsRequest(sequence=2, ingest=own)]  # fmt: skip
    stream = IngestServiceStub(channel).StreamDocuments(iter(requests), metadata=metadata)
    responses = {response.sequence: response async for response in stream}
    require_refusal(responses[1].error)
    assert responses[2].document.name == "collections/manuals/documents/pump"
    [written] = log.read(DocumentRecord)
    assert (written.key or b"").startswith(b"acme/manuals/pump@")


async def test_a_tenant_that_receives_nothing_writes_under_any_name(
    channel: grpc.aio.Channel, installation: Installation, log: LogReader
) -> None:
    metadata = bearer(installation.token(tenant="globex"))
    await IngestServiceStub(channel).IngestDocument(document(), metadata=metadata)
    [written] = log.read(DocumentRecord)
    assert (written.key or b"").startswith(b"globex/vendor-manuals/pump@")


async def test_a_caller_learns_what_is_shared_with_it(
    channel: grpc.aio.Channel, metadata: Any
) -> None:
    caller = await QueryServiceStub(channel).GetCaller(GetCallerRequest(), metadata=metadata)
    assert list(caller.shared_collections) == ["collections/rival-manuals", ALIAS]


@pytest.mark.parametrize(
    ("collections", "grants"),
    [
        ([], (VENDORS, RIVALS)),
        ([ALIAS], (VENDORS,)),
        (["collections/manuals"], ()),
        (["collections/rival-manuals", "collections/notes"], (RIVALS,)),
    ],
)
async def test_a_questions_envelope_says_what_it_may_search_of_others(
    collections: list[str],
    grants: tuple[Grant, ...],
    channel: grpc.aio.Channel,
    installation: Installation,
    metadata: Any,
    log: LogReader,
) -> None:
    request = SubmitQueryRequest(text="How deep?", collections=collections)
    await QueryServiceStub(channel).SubmitQuery(request, metadata=metadata)
    [received] = log.read(QueryRecord)
    verifier = VerificationKeyFile(installation.settings.envelope_jwks_file).verifier
    envelope = RecordReader(verifier).read(received).envelope
    assert envelope.statement.grants == grants
    assert envelope.identity.tenant == "acme"
