"""What clients send beside their token names nobody, and does not reach the log."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from forebay.ingest.v1 import Document, IngestDocumentRequest, IngestServiceStub
from forebay.query.v1 import GetCallerRequest, QueryServiceStub, SubmitQueryRequest
from forebay.records.v1 import DocumentRecord, QueryRecord
from forebay_kafka.envelope_files import VerificationKeyFile
from forebay_kafka.records import Received, RecordReader
from forebay_kafka.topics import (
    IDENTITY_HEADER,
    RECORD_TYPE_HEADER,
    TRACE_PARENT_HEADER,
    topic_of,
)
from forebay_standalone.system import System

from ..server.both_wires import refusal_of  # noqa: TID252 tests are no package
from .content_free import RecordsSince, whole
from .log import LogProbe, log_probe
from .raw_calls import bearer
from .wires import Wires

pytestmark = pytest.mark.over_grpc_alone("each attack goes over both")
OTHER = "smuggled"


@pytest.fixture
def probe(system: System) -> Iterator[LogProbe]:
    with log_probe(system) as opened:
        yield opened


# Names under which proxies, gateways and gRPC's own tools carry an identity, or a way around one.
IDENTITIES = (
    "x-forebay-identity",
    "x-tenant",
    "x-tenant-id",
    "x-user",
    "x-user-id",
    "x-remote-user",
    "x-auth-request-user",
    "x-authenticated-groups",
    "x-forwarded-user",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-real-ip",
    "forwarded",
    "tenant",
    "subject",
    "grpc-metadata-x-tenant",
    "grpc-metadata-authorization",
    "proxy-authorization",
    "x-original-authorization",
    "baggage",
    "tracestate",
    "b3",
    "cookie",
    "x-http-method-override",
    "x-original-url",
)
OWN_HEADERS = {IDENTITY_HEADER, RECORD_TYPE_HEADER, TRACE_PARENT_HEADER}
BINARY = ("x-tenant-bin", "authorization-bin", "grpc-tags-bin")
SPELLINGS = ("X-Forebay-Identity", "X_Tenant", "X-TENANT-ID", "Tenant")
# Those that Forebay alone gives are refused, however they are spelt.
RESERVED = (
    "forebay-identity",
    "Forebay-Tenant",
    "FOREBAY-RECORD-TYPE",
    "forebay_identity",
    "Forebay-Identity-Bin",
    "Grpc-Metadata-Forebay-Identity",
)


async def test_smuggled_metadata_names_nobody_and_does_not_reach_the_log(
    wires: Wires, system: System, tenant: str, watched: RecordsSince
) -> None:
    token = system.issuer.mint(tenant, "ada", "free")
    lied = system.issuer.mint(f"{OTHER}-tenant", OTHER, "enterprise")
    values = [OTHER, f'{{"tenant":"{OTHER}","clearance":"CONFIDENTIAL"}}']
    question = SubmitQueryRequest(text="Why?", mode=SubmitQueryRequest.MODE_RETRIEVE_ONLY)
    for value in values:
        by_name = {n: f"Bearer {lied}" if "authorization" in n else value for n in IDENTITIES}
        text = list(by_name.items())
        binary = [(name, f"Bearer {lied}".encode()) for name in BINARY]
        metadata = (*bearer(token), *text, *binary, ("traceparent", value))
        stubs = QueryServiceStub(wires.channel), IngestServiceStub(wires.channel)
        caller = await stubs[0].GetCaller(GetCallerRequest(), metadata=metadata)
        assert (caller.tenant, caller.subject, caller.tier) == (tenant, "ada", "free")
        await stubs[0].SubmitQuery(question, metadata=metadata)
        await stubs[1].IngestDocument(document(), metadata=metadata)
        headers = dict(bearer(token)) | dict(text) | dict.fromkeys((*SPELLINGS, *BINARY), value)
        answers = [
            await wires.http.get("/v1/caller", headers=headers),
            await wires.http.post("/v1/queries", json={"text": "Why?", "mode": 2}, headers=headers),
            await wires.http.post(
                "/v1/collections/plant/documents:ingest",
                json={"documentId": "weir", "document": {"text": "x", "visibility": 1}},
                headers=headers,
            ),
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert answers[0].json()["tenant"] == tenant
    await check_log(watched, system, tenant, count=2 * len(values))


def document() -> IngestDocumentRequest:
    content = Document(text="x", visibility=1)  # type: ignore[arg-type]
    return IngestDocumentRequest(parent="collections/plant", document_id="weir", document=content)


async def check_log(watched: RecordsSince, system: System, tenant: str, count: int) -> None:
    jwks = Path(system.programs["edge"].program.env["FOREBAY_ENVELOPE_JWKS_FILE"])
    verifier = VerificationKeyFile(jwks).verifier
    reader = RecordReader(verifier)
    messages = await asyncio.to_thread(watched.read)
    for each in messages:
        assert OTHER.encode() not in whole(each)
        names = {name for name, _ in each.headers() or ()}
        assert names <= OWN_HEADERS, each.topic()
    for record in (QueryRecord, DocumentRecord):
        topic = topic_of(record).name
        # Cataloguing ends replaced versions by tombstones, which carry nothing.
        of_edge = [each for each in messages if each.topic() == topic and each.value()]
        assert len(of_edge) == count
        for each in of_edge:
            identity = reader.read(received(each)).envelope.identity
            assert (identity.tenant, identity.subject, identity.tier) == (tenant, "ada", "free")


def received(message: Any) -> Received:
    return Received(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        timestamp_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=tuple(message.headers() or ()),
    )


@dataclass(frozen=True)
class Smuggle:
    """A request over HTTP that nobody means well, and what it is answered."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    path: str = "/v1/queries"
    body: Any = None
    method: str = "POST"


QUESTION = {"text": "Why?"}
MISSING, INVALID, BAD = (401, "TOKEN_MISSING"), (401, "TOKEN_INVALID"), (400, "FIELD_INVALID")
GOOD = ("Authorization", "Bearer {good}")
TABLE = {
    "two tokens in two headers": Smuggle(*INVALID, (GOOD, ("Authorization", "Bearer {lied}"))),
    "in two spellings": Smuggle(*INVALID, (GOOD, ("AUTHORIZATION", "Bearer {lied}"))),
    "the same token twice": Smuggle(*INVALID, (GOOD, GOOD)),
    "two tokens in one header": Smuggle(
        *INVALID, (("Authorization", "Bearer {good}, Bearer {lied}"),)
    ),
    "a token and a password": Smuggle(*INVALID, (GOOD, ("Authorization", "Basic eDp5"))),
    "in the query": Smuggle(*MISSING, path="/v1/queries?access_token={good}"),
    "in a cookie": Smuggle(*MISSING, (("Cookie", "authorization=Bearer {good}"),)),
    "for a proxy": Smuggle(*MISSING, (("Proxy-Authorization", "Bearer {good}"),)),
    "as grpc-gateway has it": Smuggle(
        *MISSING, (("Grpc-Metadata-Authorization", "Bearer {good}"),)
    ),
    "forwarded": Smuggle(*MISSING, (("X-Forwarded-Authorization", "Bearer {good}"),)),
    "in binary": Smuggle(*MISSING, (("Authorization-Bin", "Bearer {good}"),)),
    "with an underscore": Smuggle(*MISSING, (("Authorization_", "Bearer {good}"),)),
    **{f"as {name}": Smuggle(*BAD, (GOOD, (name, "{lied}"))) for name in RESERVED},
    "a tenant in the query": Smuggle(*BAD, (GOOD,), path="/v1/queries?tenant=globex"),
    "a tenant in the body": Smuggle(*BAD, (GOOD,), body=QUESTION | {"tenant": "globex"}),
    "a subject in the body": Smuggle(*BAD, (GOOD,), body=QUESTION | {"subject": "root"}),
    "a clearance in the body": Smuggle(*BAD, (GOOD,), body=QUESTION | {"clearance": 3}),
    "a clearance as filter": Smuggle(
        *BAD, (GOOD,), body=QUESTION | {"filter": {"Visibility": "x"}}
    ),
    "a name in the body": Smuggle(*BAD, (GOOD,), body=QUESTION | {"name": "queries/x"}),
    "more passages than the tier's": Smuggle(*BAD, (GOOD,), body=QUESTION | {"topK": 6}),
    "a document above the clearance": Smuggle(
        403,
        "CLEARANCE_TOO_LOW",
        (GOOD,),
        "/v1/collections/plant/documents:ingest",
        {"documentId": "x", "document": {"text": "x", "visibility": "VISIBILITY_INTERNAL"}},
    ),
    "a document of another tenant": Smuggle(
        *BAD,
        (GOOD,),
        "/v1/collections/plant/documents:ingest",
        {"documentId": "x", "document": {"text": "x", "visibility": 1, "tenant": "globex"}},
    ),
    "a tenant as collection": Smuggle(
        *BAD,
        (GOOD,),
        "/v1/collections/globex%2Fplant/documents:ingest",
        {"documentId": "x", "document": {"text": "x", "visibility": 1}},
    ),
    "another verb by a header": Smuggle(
        405,
        "METHOD_UNKNOWN",
        (GOOD, ("X-HTTP-Method-Override", "DELETE")),
        "/v1/collections/plant/documents/weir",
        QUESTION,
    ),
}


@pytest.mark.parametrize("attack", TABLE)
async def test_what_is_smuggled_over_http_is_refused_and_writes_no_record(
    wires: Wires, system: System, tenant: str, probe: LogProbe, attack: str
) -> None:
    row = TABLE[attack]
    tokens = {
        "good": system.issuer.mint(tenant, "ada", "free"),
        "lied": system.issuer.mint("globex", "root", "enterprise"),
    }
    before = probe.at_rest()
    answer = await wires.http.request(
        row.method,
        row.path.format(**tokens),
        json=row.body or QUESTION,
        headers=[(name, value.format(**tokens)) for name, value in row.headers],
    )
    told = refusal_of(answer)
    assert (told.status, told.reason) == (row.status, row.reason), answer.text
    assert probe.ends() == before
