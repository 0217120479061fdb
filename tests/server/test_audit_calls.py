"""Every exit of the chain is told to the audit, over both transports, without its content."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import pytest

from forebay.ingest.v1 import (
    Document,
    GetDocumentRequest,
    IngestDocumentRequest,
    IngestServiceStub,
    StreamDocumentsRequest,
)
from forebay.query.v1 import (
    GetCallerRequest,
    GetQueryRequest,
    QueryServiceStub,
    StreamAnswerRequest,
    SubmitQueryRequest,
)
from forebay.records.v1 import AuditRecord
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topics import TOPICS, TRACE_PARENT_HEADER
from forebay_postgres import PostgresSettings

from .audited import TRACE_PARENT, AuditReader
from .calls import bearer
from .conftest import Installation
from .http_edge import HttpEdge, serving
from .http_edge import bearer as http_bearer
from .log import LogReader

POLICY = """
tiers:
  free: {clearance: PUBLIC}
  enterprise: {clearance: CONFIDENTIAL, limits: {requests_per_minute: 600}}
  rare: {clearance: PUBLIC, limits: {requests_per_minute: 1}}
"""


@pytest.fixture
async def edge(
    installation: Installation, kafka: KafkaSettings, postgres_nowhere: PostgresSettings
) -> AsyncIterator[HttpEdge]:
    installation.settings.policy_file.write_text(POLICY)
    async with serving(installation.settings, kafka, postgres_nowhere) as built:
        yield built


@pytest.fixture
def audit(edge: HttpEdge, log: LogReader, installation: Installation) -> AuditReader:
    return AuditReader(log, installation)


async def refused(call: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await call


def document(**fields: Any) -> IngestDocumentRequest:
    content = {"text": "The weir.", **fields}
    return IngestDocumentRequest(
        parent="collections/plant", document_id="weir", document=Document(**content)
    )


async def test_every_kind_of_refusal_is_told_with_who_and_why(
    edge: HttpEdge, audit: AuditReader, installation: Installation, log: LogReader
) -> None:
    queries, documents = QueryServiceStub(edge.channel), IngestServiceStub(edge.channel)
    rare = bearer(installation.token(tier="rare"))
    free = bearer(installation.token(tier="free", sub="fred", act={"sub": "a-service"}))
    await refused(queries.GetCaller(GetCallerRequest()))
    await refused(queries.GetCaller(GetCallerRequest(), metadata=bearer("no.real.token")))
    gold = bearer(installation.token(tier="gold"))
    await refused(queries.GetCaller(GetCallerRequest(), metadata=gold))
    scopeless = bearer(installation.token(scope="ask"))
    await refused(documents.IngestDocument(document(), metadata=scopeless))
    visibility = document(visibility="VISIBILITY_INTERNAL")
    await refused(documents.IngestDocument(visibility, metadata=free))
    await refused(queries.SubmitQuery(SubmitQueryRequest(), metadata=free))
    foreign = GetQueryRequest(name="queries/" + "a" * 61)
    await refused(queries.GetQuery(foreign, metadata=free))
    await queries.GetCaller(GetCallerRequest(), metadata=rare)
    await refused(queries.GetCaller(GetCallerRequest(), metadata=rare))
    weir = "collections/plant/documents/weir"
    await refused(documents.GetDocument(GetDocumentRequest(name=weir), metadata=free))
    await refused(edge.channel.unary_unary("/forebay.query.v1.QueryService/Guess")(b""))

    told = await audit.told(11)
    assert [each.exit for each in told] == [
        ("GetCaller", "DENIED", "TOKEN_MISSING"),
        ("GetCaller", "DENIED", "TOKEN_INVALID"),
        ("GetCaller", "DENIED", "TIER_UNKNOWN"),
        ("IngestDocument", "DENIED", "SCOPE_MISSING"),
        ("IngestDocument", "DENIED", "CLEARANCE_TOO_LOW"),
        ("SubmitQuery", "DENIED", "FIELD_INVALID"),
        ("GetQuery", "DENIED", "QUERY_NOT_FOUND"),
        ("GetCaller", "ALLOWED", "UNSPECIFIED"),
        ("GetCaller", "DENIED", "LIMIT_REACHED"),
        ("GetDocument", "FAILED", "INDEX_UNAVAILABLE"),
        ("", "DENIED", "METHOD_UNKNOWN"),
    ]
    assert {each.record.transport for each in told} == {AuditRecord.TRANSPORT_GRPC}
    subjects = [each.who.subject for each in told]
    assert subjects == ["", "", "ada", "ada", "fred", "fred", "fred", "ada", "ada", "fred", ""]
    assert {each.who.actor for each in told if each.who.subject == "fred"} == {"a-service"}
    assert {each.who.tenant for each in told} == {"", "acme"}
    assert told[2].who.tier == "gold"
    assert all(bool(each.who.policy_version) == bool(each.who.subject) for each in told)
    resources = [each.record.resource for each in told]
    assert resources == ["", "", "", "", weir, "", foreign.name, "", "", weir, ""]
    for spec in TOPICS:
        others = [] if spec.record is AuditRecord else log.read(spec.record)
        assert others == [], f"a refused call left a record on {spec.name}"


async def test_http_tells_the_same_as_grpc(
    edge: HttpEdge, audit: AuditReader, installation: Installation
) -> None:
    free = http_bearer(installation.token(tier="free", sub="fred"))
    trace = {"traceparent": TRACE_PARENT}
    await edge.http.get("/v1/caller", headers=trace)
    await edge.http.get("/v1/caller", headers={**free, **trace})
    await edge.http.post("/v1/queries", headers=free, json={"text": ""})
    await edge.http.post("/v1/queries:ask", headers=free, json={"text": ""})
    await edge.http.get("/v1/queries/" + "a" * 61 + ":stream", headers=free)
    await edge.http.get("/v1/secrets/x", headers=free)
    told = await audit.told(6)
    assert [each.exit for each in told] == [
        ("GetCaller", "DENIED", "TOKEN_MISSING"),
        ("GetCaller", "ALLOWED", "UNSPECIFIED"),
        ("SubmitQuery", "DENIED", "FIELD_INVALID"),
        ("Ask", "DENIED", "FIELD_INVALID"),
        ("StreamAnswer", "DENIED", "QUERY_NOT_FOUND"),
        ("", "DENIED", "METHOD_UNKNOWN"),
    ]
    assert {each.record.transport for each in told} == {AuditRecord.TRANSPORT_HTTP}
    traces = [dict(each.source.headers).get(TRACE_PARENT_HEADER) for each in told]
    assert traces == [TRACE_PARENT.encode()] * 2 + [None] * 4


async def test_a_call_that_the_log_tells_of_is_not_told_twice(
    edge: HttpEdge, audit: AuditReader, installation: Installation
) -> None:
    queries, documents = QueryServiceStub(edge.channel), IngestServiceStub(edge.channel)
    metadata = bearer(installation.token())
    await queries.SubmitQuery(SubmitQueryRequest(text="How?"), metadata=metadata)
    await documents.IngestDocument(document(), metadata=metadata)
    await queries.GetCaller(GetCallerRequest(), metadata=metadata)
    assert [each.exit[0] for each in await audit.told(1)] == ["GetCaller"]


async def test_a_refused_document_of_a_stream_is_told_by_itself(
    edge: HttpEdge, audit: AuditReader, installation: Installation
) -> None:
    metadata = bearer(installation.token(tier="free"))
    sent = [
        StreamDocumentsRequest(sequence=1, ingest=document(visibility="VISIBILITY_PUBLIC")),
        StreamDocumentsRequest(sequence=2, ingest=document(visibility="VISIBILITY_INTERNAL")),
        StreamDocumentsRequest(sequence=3, ingest=IngestDocumentRequest(document_id="A secret!")),
    ]
    stream = IngestServiceStub(edge.channel).StreamDocuments(iter(sent), metadata=metadata)
    answers = {each.sequence: each.WhichOneof("outcome") async for each in stream}
    assert answers == {1: "document", 2: "error", 3: "error"}
    told = sorted(await audit.told(2), key=lambda each: each.record.reason)
    assert [(each.exit, each.record.resource) for each in told] == [
        (
            ("StreamDocuments", "DENIED", "CLEARANCE_TOO_LOW"),
            "collections/plant/documents/weir",
        ),
        (("StreamDocuments", "DENIED", "FIELD_INVALID"), ""),
    ]


async def test_no_content_and_no_token_reach_an_audit_record(
    edge: HttpEdge, audit: AuditReader, installation: Installation
) -> None:
    canary = f"canary-{uuid4().hex}"
    token = installation.token(tier="free")
    metadata = (*bearer(token), ("x-canary", canary))
    documents, queries = IngestServiceStub(edge.channel), QueryServiceStub(edge.channel)
    told_of = document(
        text=canary,
        title=canary,
        labels={"label": canary},
        source_uri=f"https://{canary}",
        visibility="VISIBILITY_INTERNAL",
    )
    await refused(documents.IngestDocument(told_of, metadata=metadata))
    late = SubmitQueryRequest(text=canary, top_k=1_000)
    await refused(queries.SubmitQuery(late, metadata=metadata))
    await refused(queries.GetQuery(GetQueryRequest(name=canary), metadata=metadata))
    await refused(queries.GetCaller(GetCallerRequest(), metadata=bearer(f"{token}{canary}")))
    await edge.http.get(f"/v1/{canary}", headers=http_bearer(canary))
    await edge.http.post(f"/v1/queries?{canary}=1", headers=http_bearer(token), json={})
    await edge.http.get(f"/v1/queries/{token}", headers=http_bearer(token))
    sources = [each.source for each in await audit.told(7)]
    assert len(sources) == 7
    written = b"".join(
        (each.value or b"") + (each.key or b"") + b"".join(value for _, value in each.headers)
        for each in sources
    )
    assert canary.encode() not in written
    assert token.split(".")[2].encode() not in written


async def test_a_call_whose_client_hangs_up_is_told(
    edge: HttpEdge, audit: AuditReader, installation: Installation
) -> None:
    queries = QueryServiceStub(edge.channel)
    metadata = bearer(installation.token())
    query = await queries.SubmitQuery(SubmitQueryRequest(text="How?"), metadata=metadata)
    stream = queries.StreamAnswer(StreamAnswerRequest(name=query.name), metadata=metadata)
    await stream.read()
    stream.cancel()
    [told] = await audit.told(1)
    assert told.exit == ("StreamAnswer", "ALLOWED", "UNSPECIFIED")
    assert told.record.code == grpc.StatusCode.CANCELLED.value[0]
    assert told.record.delivery.events == 1
    assert told.record.delivery.end == ""


async def test_what_waits_at_the_end_is_still_written(
    installation: Installation,
    kafka: KafkaSettings,
    postgres_nowhere: PostgresSettings,
    log: LogReader,
) -> None:
    async with serving(installation.settings, kafka, postgres_nowhere) as edge:
        calls = [edge.http.get("/v1/caller") for _ in range(150)]
        await asyncio.gather(*calls)
    told = await AuditReader(log, installation).told_now()
    assert sum(each.record.count for each in told) == 150
    [flood] = [each.record for each in told if each.record.count > 1]
    assert (flood.count, flood.method.rpartition("/")[2]) == (50, "GetCaller")
