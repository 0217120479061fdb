"""Who did what stands in the audit's files, and nothing of what it was about."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any
from uuid import uuid4

import pytest

from forebay.client import (
    AsyncClient,
    ForebayError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.system import System

from .audit_files import WAIT_SECONDS, AuditFiles, Line, of, org
from .conftest import Connect

WEIR = "collections/plant/documents/weir"


@pytest.fixture
def files(system: System) -> AuditFiles:
    return AuditFiles(system)


def told(line: Line) -> tuple[str, str, str, str]:
    """Who did what, and what became of it."""
    subject = line["actor"]["user"]["uid"]
    reason = line.get("status_detail", "")
    return subject, line["api"]["operation"], line["action"], reason


async def refused(kind: type[ForebayError], call: Awaitable[object]) -> None:
    with pytest.raises(kind):
        await call


async def test_everything_that_was_done_is_written_down_by_who_did_it(
    connect: Connect, models: ModelServer, files: AuditFiles, tenant: str
) -> None:
    author, reader = connect(subject="ada"), connect("free", subject="fred")
    receipt = await author.ingest("plant", "weir", text="The weir is old.", visibility="internal")
    await author.wait_indexed(receipt.name, receipt.etag)
    await author.update_document(WEIR, visibility="public")
    async with asyncio.timeout(WAIT_SECONDS):
        while not (answer := await reader.ask("How is the weir?").answer()).passages:
            continue
    await author.delete_document(WEIR)
    await refused(
        PermissionDenied, reader.ingest("plant", "x", text="X", visibility="confidential")
    )
    await refused(InvalidArgument, reader.submit(""))
    await refused(NotFound, reader.get_query("queries/" + "0" * 61))

    due = Counter(
        {
            ("ada", "IngestDocument", "Allowed", ""),
            ("ada", "UpdateDocument", "Allowed", ""),
            ("ada", "DeleteDocument", "Allowed", ""),
            ("fred", "SubmitQuery", "Allowed", ""),
            ("fred", "Ask", "Allowed", ""),
            ("fred", "IngestDocument", "Denied", "CLEARANCE_TOO_LOW"),
            ("fred", "SubmitQuery", "Denied", "FIELD_INVALID"),
            ("fred", "GetQuery", "Denied", "QUERY_NOT_FOUND"),
        }
    )
    lines = of(tenant, await files.until(lambda all_: due <= Counter(map(told, of(tenant, all_)))))
    others = {told(line)[:2] for line in lines if told(line) not in due}
    assert others == {("ada", "GetDocument")}, "waiting until a document is indexed asks for it"
    [delivery] = [
        line
        for line in lines
        if told(line)[1] == "Ask" and line["resources"][0]["name"] == answer.query
    ]
    assert delivery["activity_name"] == "Read"
    assert delivery["unmapped"]["delivery"]["end"] == "completed"
    passages = [(p.document, p.ordinal, "PUBLIC") for p in answer.passages]
    seen = [
        (each["name"], each["data"]["ordinal"], each["data"]["visibility"])
        for each in delivery["resources"][1:]
    ]
    assert seen == passages
    uids = [line["metadata"]["uid"] for line in lines]
    assert len(set(uids)) == len(uids)


async def test_nothing_that_was_said_or_shown_is_written_down(
    connect: Connect,
    models: ModelServer,
    files: AuditFiles,
    system: System,
    edge_address: str,
    tenant: str,
) -> None:
    canary = f"canary-{uuid4().hex}"
    author = connect(subject="ada")
    content: dict[str, Any] = {"title": canary, "labels": {"label": canary}, "text": canary}
    receipt = await author.ingest("plant", "weir", visibility="public", **content)
    await author.wait_indexed(receipt.name, receipt.etag)
    answer = await author.ask(f"What is {canary}?", filter={"label": canary}).answer()
    assert canary in answer.text
    await author.update_document(WEIR, labels={"other": canary})
    await refused(NotFound, author.get_query(f"queries/{canary}"))
    token = system.issuer.mint(tenant, "eve", "enterprise")
    async with AsyncClient(edge_address, token + canary) as stranger:
        await refused(Unauthenticated, stranger.caller())

    def whole(lines: list[Line]) -> bool:
        operations = Counter(line["api"]["operation"] for line in of(tenant, lines))
        due = {"IngestDocument": 1, "Ask": 1, "SubmitQuery": 1, "UpdateDocument": 1, "GetQuery": 1}
        strangers = {line["status_detail"] for line in lines if not org(line)}
        return operations >= Counter(due) and "TOKEN_INVALID" in strangers

    await files.until(whole)
    written = files.text()
    assert canary not in written
    assert all(part not in written for part in token.split("."))
