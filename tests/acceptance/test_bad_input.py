"""What the edge refuses: with which code, reason, field and rule, and without a record."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.duration_pb2 import Duration

from forebay.client import Client
from forebay.client.request_id import RequestIds
from forebay.ingest.v1 import (
    DeleteDocumentRequest,
    Document,
    GetDocumentRequest,
    IngestDocumentRequest,
    ListDocumentsRequest,
)
from forebay.policy.v1 import Visibility
from forebay.query.v1 import (
    AnswerEvent,
    AskRequest,
    CancelQueryRequest,
    GetCallerRequest,
    GetQueryRequest,
    StreamAnswerRequest,
    SubmitQueryRequest,
)
from forebay_server.seals.cursors import Cursors
from forebay_server.seals.query_names import Asker, QueryNames
from forebay_server.seals.secrets import SealFile
from forebay_standalone.issuer import DevelopmentIssuer
from forebay_standalone.system import System

from .bare_edge import Edge, mint
from .conftest import HTTP, Transport
from .log import LogProbe, log_probe
from .raw_calls import (
    bearer,
    code_and_reason,
    metadata_of,
    refused,
    refused_stream,
    violations_of,
)

LIMIT_BYTES = 4 * 1024 * 1024
NOTHING = IngestDocumentRequest(parent="collections/plant")
UNAUTHENTICATED = "UNAUTHENTICATED"
INVALID = ("INVALID_ARGUMENT", "FIELD_INVALID")
TOO_LARGE = ("INVALID_ARGUMENT", "DOCUMENT_TOO_LARGE")


@pytest.fixture
async def edge(
    system: System, tenant: str, transport: Transport, edge_address: str
) -> AsyncIterator[Edge]:
    tokens = {tier: mint(system.issuer, tenant, tier) for tier in ("free", "standard")}
    tokens["enterprise"] = mint(system.issuer, tenant, "enterprise")
    async with transport.open_channel(edge_address) as channel:
        yield Edge(channel, tokens)


@pytest.fixture(scope="module")
def probe(system: System) -> Iterator[LogProbe]:
    with log_probe(system) as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_record(probe: LogProbe) -> Iterator[None]:
    """No test of this module may leave a record on any topic but that of the audit."""
    before = probe.at_rest()
    yield
    assert probe.ends() == before


def forged(issuer: DevelopmentIssuer) -> str:
    """A token that is right in everything but the key that signed it."""
    [key] = issuer.jwks()["keys"]
    token = mint(issuer, "acme", "enterprise")
    claims = jwt.decode(token, options={"verify_signature": False})
    header = {"kid": key["kid"], "typ": "at+jwt"}
    return jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", headers=header)


def of_another(issuer: DevelopmentIssuer, **changed: str) -> str:
    """A token that the same key signed for another audience, or in another issuer's name."""
    other = DevelopmentIssuer.__new__(DevelopmentIssuer)
    other.__dict__.update(issuer.__dict__ | changed)
    return mint(other, "acme", "enterprise")


Token = Callable[[DevelopmentIssuer], str]
EXPIRED = timedelta(minutes=-5)
BAD_TOKENS: dict[str, tuple[Token, str, str]] = {
    "no dots": (lambda _: "nonsense", "TOKEN_INVALID", "form"),
    "empty parts": (lambda _: "a..b", "TOKEN_INVALID", "form"),
    "no json": (lambda _: "a.b.c", "TOKEN_INVALID", "form"),
    "9 kB": (lambda _: "a" * 9_000, "TOKEN_INVALID", "size"),
    "a forged signature": (forged, "TOKEN_INVALID", "signature"),
    "an unknown issuer": (
        lambda issuer: of_another(issuer, issuer_url="http://127.0.0.1:1"),
        "TOKEN_INVALID",
        "issuer",
    ),
    "another audience": (
        lambda issuer: of_another(issuer, audience="warehouse"),
        "TOKEN_INVALID",
        "audience",
    ),
    "an odd tenant": (lambda issuer: mint(issuer, "a/b", "free"), "TOKEN_INVALID", "tenant"),
    "expired": (
        lambda issuer: mint(issuer, "acme", "free", expires_in=EXPIRED),
        "TOKEN_EXPIRED",
        "",
    ),
    "lives for a year": (
        lambda issuer: mint(issuer, "acme", "free", expires_in=timedelta(days=365)),
        "TOKEN_INVALID",
        "lifetime",
    ),
}


@pytest.mark.parametrize("case", BAD_TOKENS)
async def test_a_token_that_cannot_be_trusted_admits_to_nothing(
    edge: Edge, system: System, case: str
) -> None:
    make, reason, rule = BAD_TOKENS[case]
    metadata = bearer(make(system.issuer))
    for call in (
        edge.queries.GetCaller(GetCallerRequest(), metadata=metadata),
        edge.queries.SubmitQuery(SubmitQueryRequest(text="Who?"), metadata=metadata),
        edge.documents.IngestDocument(NOTHING, metadata=metadata),
    ):
        status = await refused(call)
        assert code_and_reason(status) == (UNAUTHENTICATED, reason)
        assert metadata_of(status).get("rule", "") == rule


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", ""),),
        (("authorization", "Bearer"),),
        (("authorization", "Bearer  "),),
        (("authorization", "Basic YTpi"),),
        (("x-tenant", "acme"), ("forebay-identity", "acme")),
    ],
)
async def test_a_call_without_a_bearer_token_is_told_to_bring_one(
    edge: Edge, metadata: tuple[tuple[str, str], ...]
) -> None:
    status = await refused(edge.queries.GetCaller(GetCallerRequest(), metadata=metadata))
    assert code_and_reason(status) == (UNAUTHENTICATED, "TOKEN_MISSING")
    ask = edge.queries.Ask(AskRequest(query=SubmitQueryRequest(text="Who?")), metadata=metadata)
    assert code_and_reason(await refused_stream(ask)) == (UNAUTHENTICATED, "TOKEN_MISSING")


async def test_two_tokens_are_as_bad_as_none(edge: Edge) -> None:
    metadata = bearer(edge.tokens["free"]) + bearer(edge.tokens["enterprise"])
    status = await refused(edge.queries.GetCaller(GetCallerRequest(), metadata=metadata))
    assert code_and_reason(status) == (UNAUTHENTICATED, "TOKEN_INVALID")


async def test_a_method_needs_its_scope(edge: Edge, system: System) -> None:
    asks = bearer(mint(system.issuer, "acme", "enterprise", scopes=["ask"]))
    ingests = bearer(mint(system.issuer, "acme", "enterprise", scopes=["ingest"]))
    document = "collections/plant/documents/weir"
    queries, documents = edge.queries, edge.documents
    refusals: list[tuple[str, Awaitable[object]]] = [
        ("ask", queries.SubmitQuery(SubmitQueryRequest(text="Who?"), metadata=ingests)),
        ("ask", queries.GetQuery(GetQueryRequest(name="queries/a"), metadata=ingests)),
        ("ask", queries.CancelQuery(CancelQueryRequest(name="queries/a"), metadata=ingests)),
        ("ingest", documents.IngestDocument(NOTHING, metadata=asks)),
        ("ingest", documents.GetDocument(GetDocumentRequest(name=document), metadata=asks)),
        (
            "ingest",
            documents.ListDocuments(
                ListDocumentsRequest(parent="collections/plant"), metadata=asks
            ),
        ),
        ("ingest", documents.DeleteDocument(DeleteDocumentRequest(name=document), metadata=asks)),
    ]
    for scope, call in refusals:
        status = await refused(call)
        assert code_and_reason(status) == ("PERMISSION_DENIED", "SCOPE_MISSING")
        assert metadata_of(status) == {"scope": scope}
    for stream in (
        queries.Ask(AskRequest(query=SubmitQueryRequest(text="Who?")), metadata=ingests),
        queries.StreamAnswer(StreamAnswerRequest(name="queries/a"), metadata=ingests),
    ):
        status = await refused_stream(stream)
        assert code_and_reason(status) == ("PERMISSION_DENIED", "SCOPE_MISSING")


async def test_a_tier_that_the_policy_does_not_know_admits_to_nothing(
    edge: Edge, system: System
) -> None:
    gold = bearer(mint(system.issuer, "acme", "gold"))
    status = await refused(edge.queries.GetCaller(GetCallerRequest(), metadata=gold))
    assert code_and_reason(status) == ("PERMISSION_DENIED", "TIER_UNKNOWN")
    assert metadata_of(status) == {"tier": "gold"}


def at(seconds: float) -> str:
    """A UUIDv7 of so many seconds from now."""
    return str(RequestIds(lambda: time.time() + seconds).new())


BAD_QUESTIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "empty": ({"text": ""}, "text", "STRING_VISIBLE"),
    "spaces": ({"text": " \t\r\n "}, "text", "STRING_VISIBLE"),
    "unicode spaces": ({"text": "\u00a0\u2003\u3000"}, "text", "STRING_VISIBLE"),
    "100 kB": ({"text": "a" * 100_000}, "text", "STRING_MAX_BYTES"),
    "a byte over": ({"text": "a" * 16_385}, "text", "STRING_MAX_BYTES"),
    "NUL": ({"text": "Who\x00?"}, "text", "STRING_VISIBLE"),
    "bad collection": ({"collections": ["collections/A b"]}, "collections[0]", "STRING_PATTERN"),
    "no collection": ({"collections": ["plant"]}, "collections[0]", "STRING_PATTERN"),
    "second collection": (
        {"collections": ["collections/a", "collections/"]},
        "collections[1]",
        "STRING_PATTERN",
    ),
    "twice a collection": (
        {"collections": ["collections/a", "collections/a"]},
        "collections",
        "REPEATED_UNIQUE",
    ),
    "bad label": ({"filter": {"Site!": "n"}}, 'filter["Site!"]', "STRING_PATTERN"),
    "NUL label": ({"filter": {"site": "\x00"}}, 'filter["site"]', "STRING_PATTERN"),
    "negative top_k": ({"top_k": -1}, "top_k", "INT32_GTE_LTE"),
    "top_k of 51": ({"top_k": 51}, "top_k", "INT32_GTE_LTE"),
    "mode": ({"mode": 9}, "mode", "ENUM_DEFINED_ONLY"),
    "zero timeout": ({"timeout": Duration()}, "timeout", "DURATION_GTE_LTE"),
    "negative timeout": ({"timeout": Duration(seconds=-1)}, "timeout", "DURATION_GTE_LTE"),
    "timeout of 99 ms": ({"timeout": Duration(nanos=99_999_999)}, "timeout", "DURATION_GTE_LTE"),
    "timeout of 601 s": ({"timeout": Duration(seconds=601)}, "timeout", "DURATION_GTE_LTE"),
    "UUIDv4": ({"request_id": str(uuid4())}, "request_id", "STRING_PATTERN"),
    "upper case": ({"request_id": at(0).upper()}, "request_id", "STRING_PATTERN"),
    "without hyphens": ({"request_id": UUID(at(0)).hex}, "request_id", "STRING_PATTERN"),
    "garbage": ({"request_id": "again"}, "request_id", "STRING_PATTERN"),
}


@pytest.mark.parametrize("case", BAD_QUESTIONS)
async def test_a_question_that_breaks_a_rule_is_told_which(edge: Edge, case: str) -> None:
    fields, field, rule = BAD_QUESTIONS[case]
    status = await refused(edge.submit(**fields))
    assert code_and_reason(status) == INVALID
    assert violations_of(status)[0] == (field, rule)
    assert metadata_of(status)["field"] == field
    ask = AskRequest(query=SubmitQueryRequest(**{"text": "Who?", **fields}))
    streamed = await refused_stream(
        edge.queries.Ask(ask, metadata=bearer(edge.tokens["enterprise"]))
    )
    assert code_and_reason(streamed) == INVALID
    assert violations_of(streamed)[0] == (f"query.{field}", rule)


async def test_a_question_without_a_question_is_refused(edge: Edge) -> None:
    metadata = bearer(edge.tokens["enterprise"])
    status = await refused_stream(edge.queries.Ask(AskRequest(), metadata=metadata))
    assert (code_and_reason(status), violations_of(status)) == (INVALID, [("query", "REQUIRED")])


async def test_a_tier_bounds_top_k(edge: Edge) -> None:
    for tier, limit in (("free", 5), ("standard", 10), ("enterprise", 20)):
        status = await refused(edge.submit(tier, top_k=limit + 1))
        assert code_and_reason(status) == INVALID
        assert violations_of(status) == [("top_k", "TIER_TOP_K")]
        assert str(limit) in status.message


@pytest.mark.parametrize("seconds", [-20 * 60, -15 * 60 - 5, 65, 5 * 60])
async def test_a_request_id_of_another_time_is_told_the_servers(edge: Edge, seconds: int) -> None:
    document = {"name": "collections/plant/documents/weir", "request_id": at(seconds)}
    calls = (
        edge.submit(request_id=at(seconds)),
        edge.ingest(request_id=at(seconds)),
        edge.documents.DeleteDocument(
            DeleteDocumentRequest(**document), metadata=bearer(edge.tokens["enterprise"])
        ),
    )
    for call in calls:
        status = await refused(call)
        assert code_and_reason(status) == ("INVALID_ARGUMENT", "REQUEST_ID_OUT_OF_WINDOW")
        assert violations_of(status) == [("request_id", "TIME_WINDOW")]
        told = datetime.fromisoformat(metadata_of(status)["server_time"])
        assert abs((told - datetime.now(UTC)).total_seconds()) < 60


BAD_DOCUMENTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "upper case collection": ({"parent": "collections/Plant"}, "parent", "STRING_PATTERN"),
    "no collection": ({"parent": "plant"}, "parent", "STRING_PATTERN"),
    "nested collection": ({"parent": "collections/a/b"}, "parent", "STRING_PATTERN"),
    "collection of 64": ({"parent": "collections/" + "a" * 64}, "parent", "STRING_PATTERN"),
    "line end": ({"parent": "collections/plant\n"}, "parent", "STRING_PATTERN"),
    "empty id": ({"document_id": ""}, "document_id", "STRING_PATTERN"),
    "dots": ({"document_id": "../weir"}, "document_id", "STRING_PATTERN"),
    "id of 64": ({"document_id": "a" * 64}, "document_id", "STRING_PATTERN"),
    "underscore": ({"document_id": "a_b"}, "document_id", "STRING_PATTERN"),
    "UUIDv4": ({"request_id": str(uuid4())}, "request_id", "STRING_PATTERN"),
    "unknown type": (
        {"document": {"mime_type": "application/msword"}},
        "document.mime_type",
        "STRING_IN",
    ),
    "type with parameters": (
        {"document": {"mime_type": "text/plain; charset=utf-8"}},
        "document.mime_type",
        "STRING_IN",
    ),
    "raw without a type": ({"document": {"raw": b"a"}}, "document.mime_type", "REQUIRED"),
    "text as PDF": (
        {"document": {"mime_type": "application/pdf"}},
        "document.mime_type",
        "CONTENT_MATCHES",
    ),
    "visibility": ({"document": {"visibility": 9}}, "document.visibility", "ENUM_DEFINED_ONLY"),
    "label": (
        {"document": {"labels": {"Site": "n"}}},
        'document.labels["Site"]',
        "STRING_PATTERN",
    ),
    "empty reader": ({"document": {"readers": [""]}}, "document.readers[0]", "STRING_MIN_LEN"),
    "NUL in the title": ({"document": {"title": "\x00"}}, "document.title", "STRING_PATTERN"),
    "NUL in the text": ({"document": {"text": "a\x00b"}}, "document.text", "NO_NUL"),
    "another name": (
        {"document": {"name": "collections/plant/documents/dam"}},
        "document.name",
        "NAME_MATCHES",
    ),
}

NO_PATHS = {"no collection", "nested collection"}
"""Over HTTP their parents are parts of paths at which there is nothing."""


@pytest.mark.parametrize("case", BAD_DOCUMENTS)
async def test_a_document_that_breaks_a_rule_is_told_which(
    edge: Edge, transport: Transport, case: str
) -> None:
    fields, field, rule = BAD_DOCUMENTS[case]
    status = await refused(edge.ingest(**fields))
    if transport == HTTP and case in NO_PATHS:
        assert code_and_reason(status) == ("UNIMPLEMENTED", "METHOD_UNKNOWN")
        return
    assert code_and_reason(status) == INVALID
    assert violations_of(status) == [(field, rule)]
    assert metadata_of(status)["field"] == field


async def test_a_document_without_content_is_refused(edge: Edge) -> None:
    request = IngestDocumentRequest(
        parent="collections/plant", document_id="weir", document=Document(title="Weir")
    )
    metadata = bearer(edge.tokens["enterprise"])
    status = await refused(edge.documents.IngestDocument(request, metadata=metadata))
    assert code_and_reason(status) == INVALID
    assert violations_of(status) == [("document", "DOCUMENT_CONTENT_REQUIRED")]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"text": "a" * (LIMIT_BYTES + 1)}, "document.text"),
        ({"text": "é" * (LIMIT_BYTES // 2) + "a"}, "document.text"),
        ({"raw": b"a" * (LIMIT_BYTES + 1), "mime_type": "text/plain"}, "document.raw"),
        ({"text": "a" * (2 * LIMIT_BYTES)}, "document.text"),
    ],
    ids=["one byte over", "two bytes a character", "raw", "twice the limit"],
)
async def test_a_document_over_the_limit_is_told_the_limit(
    edge: Edge, document: dict[str, Any], field: str
) -> None:
    status = await refused(edge.ingest(document))
    assert code_and_reason(status) == TOO_LARGE
    assert metadata_of(status) == {"limit_bytes": str(LIMIT_BYTES)}
    assert [broken for broken, _ in violations_of(status)] == [field]


async def test_a_writer_needs_the_clearance_for_what_it_writes(edge: Edge) -> None:
    confidential = Visibility.VISIBILITY_CONFIDENTIAL
    for tier, document, clearance, visibility in (
        ("free", {"visibility": Visibility.VISIBILITY_INTERNAL}, "PUBLIC", "INTERNAL"),
        ("free", {}, "PUBLIC", "CONFIDENTIAL"),
        ("standard", {"visibility": confidential}, "INTERNAL", "CONFIDENTIAL"),
    ):
        status = await refused(edge.ingest(document, tier))
        assert code_and_reason(status) == ("PERMISSION_DENIED", "CLEARANCE_TOO_LOW")
        assert metadata_of(status) == {"clearance": clearance, "visibility": visibility}


@pytest.mark.over_grpc_alone("over HTTP these names are parts of paths at which there is nothing")
async def test_what_is_no_name_is_told_so(edge: Edge) -> None:
    metadata = bearer(edge.tokens["enterprise"])
    documents = edge.documents
    cases: list[tuple[Awaitable[object], str]] = [
        (documents.GetDocument(GetDocumentRequest(name="weir"), metadata=metadata), "name"),
        (documents.DeleteDocument(DeleteDocumentRequest(name=""), metadata=metadata), "name"),
        (documents.ListDocuments(ListDocumentsRequest(parent="x"), metadata=metadata), "parent"),
        (edge.queries.GetQuery(GetQueryRequest(), metadata=metadata), "name"),
    ]
    for call, field in cases:
        status = await refused(call)
        assert code_and_reason(status) == INVALID
        assert [broken for broken, _ in violations_of(status)] == [field]


async def test_what_is_no_version_or_page_is_told_so(edge: Edge) -> None:
    metadata = bearer(edge.tokens["enterprise"])
    documents = edge.documents
    cases: list[tuple[Awaitable[object], str]] = [
        (
            documents.ListDocuments(
                ListDocumentsRequest(parent="collections/a", page_size=1001), metadata=metadata
            ),
            "page_size",
        ),
        (
            documents.GetDocument(
                GetDocumentRequest(name="collections/a/documents/b", etag="first"),
                metadata=metadata,
            ),
            "etag",
        ),
    ]
    for call, field in cases:
        status = await refused(call)
        assert code_and_reason(status) == INVALID
        assert [broken for broken, _ in violations_of(status)] == [field]
    page = ListDocumentsRequest(parent="collections/a", page_token="b")
    status = await refused(documents.ListDocuments(page, metadata=metadata))
    assert code_and_reason(status) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


@pytest.fixture(scope="module")
def ended(system: System) -> tuple[list[AnswerEvent], list[AnswerEvent]]:
    """The events of two queries of one caller."""
    token = mint(system.issuer, "t-cursors", "enterprise")
    mode = SubmitQueryRequest.MODE_RETRIEVE_ONLY
    with Client(system.addresses.grpc, token) as client:
        return list(client.ask("Who?", mode=mode)), list(client.ask("When?", mode=mode))


async def test_a_cursor_of_another_query_or_of_nobody_is_refused(
    edge: Edge, system: System, ended: tuple[list[AnswerEvent], list[AnswerEvent]]
) -> None:
    metadata = bearer(mint(system.issuer, "t-cursors", "enterprise"))
    (first, *_), others = ended
    changed = first.cursor[:-1] + ("A" if first.cursor[-1] != "A" else "B")
    wrong = [each.cursor for each in others]
    wrong += ["0", "a" * 512, first.cursor[:-1], f"{first.cursor}a", changed, first.query]
    for cursor in wrong:
        request = StreamAnswerRequest(name=first.query, after_cursor=cursor)
        status = await refused_stream(edge.queries.StreamAnswer(request, metadata=metadata))
        assert code_and_reason(status) == ("INVALID_ARGUMENT", "CURSOR_INVALID")
    too_long = StreamAnswerRequest(name=first.query, after_cursor="a" * 513)
    status = await refused_stream(edge.queries.StreamAnswer(too_long, metadata=metadata))
    assert violations_of(status) == [("after_cursor", "STRING_MAX_BYTES")]


async def test_a_cursor_from_before_all_that_the_log_keeps_is_refused(
    edge: Edge, system: System
) -> None:
    seals = SealFile(Path(system.programs["edge"].program.env["FOREBAY_SEAL_SECRET_FILE"]))
    asker = Asker(system.issuer.issuer_url, "t-cursors", "somebody")
    days_ago = UUID(at(-3 * 86_400))
    name = QueryNames(seals).derive(asker, days_ago, SubmitQueryRequest(text="Who?"))
    request = StreamAnswerRequest(name=name, after_cursor=Cursors(seals).at(name, 3))
    metadata = bearer(mint(system.issuer, "t-cursors", "enterprise"))
    status = await refused_stream(edge.queries.StreamAnswer(request, metadata=metadata))
    assert code_and_reason(status) == ("NOT_FOUND", "QUERY_NOT_FOUND")


@pytest.mark.over_grpc_alone("HTTP has paths in place of methods: tests/server/test_http_bad_input")
async def test_a_method_that_there_is_not_is_unimplemented(edge: Edge) -> None:
    for path in ("/forebay.query.v1.QueryService/Forget", "/forebay.none.v1.None/Get"):
        call: Any = edge.channel.unary_unary(path)
        status = await refused(call(b"", metadata=bearer(edge.tokens["free"])))
        assert code_and_reason(status) == ("UNIMPLEMENTED", "METHOD_UNKNOWN")


@pytest.mark.over_grpc_alone("JSON that is none is tested in tests/server/test_http_bad_input")
async def test_bytes_that_are_no_message_are_told_so(edge: Edge) -> None:
    for path in ("query.v1.QueryService/SubmitQuery", "ingest.v1.IngestService/IngestDocument"):
        call: Any = edge.channel.unary_unary(f"/forebay.{path}")
        status = await refused(call(b"\xff\xff", metadata=bearer(edge.tokens["enterprise"])))
        assert code_and_reason(status) == INVALID
        assert [rule for _, rule in violations_of(status)] == ["WIRE_FORMAT"]
