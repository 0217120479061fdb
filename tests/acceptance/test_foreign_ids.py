"""What is somebody else's is answered like what never was, and changes nothing of theirs."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from google.protobuf.message import Message

from forebay.client import AsyncClient
from forebay.ingest.v1 import (
    Document,
    GetDocumentRequest,
    IngestServiceStub,
    ListDocumentsRequest,
    UpdateDocumentRequest,
)
from forebay.pipeline.v1 import (
    GetPipelineStatusRequest,
    ListDeadLettersRequest,
    PurgeDeadLettersRequest,
    RedriveDeadLettersRequest,
    WatchPipelineRequest,
)
from forebay.query.v1 import (
    CancelQueryRequest,
    GetQueryRequest,
    Query,
    StreamAnswerRequest,
    SubmitQueryRequest,
)
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.issuer import every_scope
from forebay_standalone.system import System

from .conftest import Connect
from .log import LogProbe, log_probe
from .raw_calls import bearer
from .wires import Wires

pytestmark = pytest.mark.over_grpc_alone("each attack goes over both")
NEVER = "queries/" + "0" * 61
NOBODYS = "collections/plant/documents/never-was"


@pytest.fixture
def probe(system: System) -> Iterator[LogProbe]:
    with log_probe(system) as opened:
        yield opened


@dataclass(frozen=True)
class Victim:
    """What somebody has, and others are after."""

    query: str
    cursor: str
    document: str
    etag: str
    page_token: str


@pytest.fixture
async def victim(
    connect: Connect, models: ModelServer, wires: Wires, system: System, tenant: str
) -> Victim:
    owner = connect(tenant=of_victim(tenant))
    receipts = [
        await owner.ingest("plant", f"weir-{n}", text="The weir opens at noon.") for n in range(2)
    ]
    for each in receipts:
        await owner.wait_indexed(each.name, each.etag)
    events = [event async for event in owner.ask("When does the weir open?")]
    metadata = bearer(system.issuer.mint(of_victim(tenant), "enterprise-user", "enterprise"))
    page = await IngestServiceStub(wires.channel).ListDocuments(
        ListDocumentsRequest(parent="collections/plant", page_size=1), metadata=metadata
    )
    return Victim(
        events[0].query, events[0].cursor, receipts[0].name, receipts[0].etag, page.next_page_token
    )


def of_victim(tenant: str) -> str:
    return f"{tenant}-v"


async def test_what_is_somebody_elses_is_answered_like_what_never_was(
    victim: Victim, wires: Wires, system: System, tenant: str, probe: LogProbe
) -> None:
    strangers = {
        "another tenant": system.issuer.mint(tenant, "enterprise-user", "enterprise"),
        "another subject": system.issuer.mint(of_victim(tenant), "mallory", "enterprise"),
    }
    below = system.issuer.mint(of_victim(tenant), "enterprise-user", "free")
    before = probe.at_rest()
    for token in strangers.values():
        for request in (GetQueryRequest, CancelQueryRequest, StreamAnswerRequest):
            foreign = await wires.refused(request(name=victim.query), token)
            assert (foreign.status, foreign.reason) == (404, "QUERY_NOT_FOUND")
            assert await wires.refused(request(name=NEVER), token) == foreign
    outsiders = (strangers["another tenant"], below)
    for token in outsiders:
        for foreign, never in documents(victim):
            told = await wires.refused(foreign, token)
            assert (told.status, told.reason) == (404, "DOCUMENT_NOT_FOUND")
            assert await wires.refused(never, token) == told
    assert probe.ends() == before


def documents(victim: Victim) -> list[tuple[Message, Message]]:
    """Requests for the victim's document, each with the same for one that never was."""
    return [
        (make(victim.document, victim.etag), make(NOBODYS, victim.etag))
        for make in (
            lambda name, _: GetDocumentRequest(name=name),
            lambda name, etag: GetDocumentRequest(name=name, etag=etag),
            open_up,
        )
    ]


def open_up(name: str, etag: str) -> UpdateDocumentRequest:
    document = Document(name=name, etag=etag, visibility=1)  # type: ignore[arg-type]
    request = UpdateDocumentRequest(document=document)
    request.update_mask.paths.append("visibility")
    return request


async def test_seals_of_others_open_nothing(
    victim: Victim, wires: Wires, system: System, connect: Connect, tenant: str, probe: LogProbe
) -> None:
    own = await connect().submit("Why?", mode=SubmitQueryRequest.MODE_RETRIEVE_ONLY)
    token = system.issuer.mint(tenant, "enterprise-user", "enterprise")
    parent = "collections/plant"
    await connect().follow(own.name).answer()
    before = probe.at_rest()
    table: list[tuple[Message, str]] = [
        (StreamAnswerRequest(name=own.name, after_cursor=victim.cursor), "CURSOR_INVALID"),
        (StreamAnswerRequest(name=own.name, after_cursor=victim.page_token), "CURSOR_INVALID"),
        (ListDocumentsRequest(parent=parent, page_token=victim.page_token), "PAGE_TOKEN_INVALID"),
        (ListDocumentsRequest(parent=parent, page_token=victim.cursor), "PAGE_TOKEN_INVALID"),
        (ListDocumentsRequest(parent=parent, page_token=own.name), "PAGE_TOKEN_INVALID"),
    ]
    for request, reason in table:
        told = await wires.refused(request, token)
        assert (told.status, told.reason) == (400, reason)
    assert probe.ends() == before


async def test_a_deletion_by_a_stranger_of_the_same_name_deletes_nothing_of_others(
    victim: Victim, connect: Connect, tenant: str
) -> None:
    await connect().delete_document(victim.document)
    assert (
        await connect(tenant=of_victim(tenant)).get_document(victim.document)
    ).etag == victim.etag


async def test_operators_methods_are_nobody_elses(
    wires: Wires, system: System, tenant: str, probe: LogProbe
) -> None:
    scopes = [scope for scope in every_scope() if scope != "operate"]
    token = system.issuer.mint(tenant, "somebody", "enterprise", scopes)
    before = probe.at_rest()
    for request in (
        GetPipelineStatusRequest(),
        WatchPipelineRequest(),
        ListDeadLettersRequest(),
        RedriveDeadLettersRequest(names=["x"]),
        PurgeDeadLettersRequest(names=["x"]),
    ):
        told = await wires.refused(request, token)
        assert (told.status, told.reason) == (403, "SCOPE_MISSING")
    assert probe.ends() == before


async def test_a_query_that_a_stranger_would_cancel_goes_on(
    connect: Connect, models: ModelServer, wires: Wires, system: System, tenant: str
) -> None:
    owner: AsyncClient = connect()
    receipt = await owner.ingest("plant", "weir", text="The weir opens at noon.")
    await owner.wait_indexed(receipt.name, receipt.etag)
    models.behave(first_token_seconds=0.5, kinds=["chat"])
    query = await owner.submit("When does the weir open?")
    token = system.issuer.mint(tenant, "mallory", "enterprise")
    assert (await wires.refused(CancelQueryRequest(name=query.name), token)).status == 404
    await owner.follow(query.name).answer()
    assert (await owner.get_query(query.name)).state == Query.STATE_COMPLETED
