"""Questions and documents over HTTP, on a real log."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from httpx_sse import aconnect_sse

from forebay.query.v1 import CancelQueryRequest, QueryServiceStub
from forebay.records.v1 import DocumentRecord, DocumentUpdate
from forebay_kafka.settings import KafkaSettings
from forebay_postgres import PostgresSettings
from forebay_server.request_ids import RequestIds

from .calls import bearer as metadata_of
from .conftest import Installation
from .http_edge import HttpEdge, bearer, reason_of, serving
from .log import LogReader


@pytest.fixture
async def edge(
    installation: Installation, kafka: KafkaSettings, postgres_nowhere: PostgresSettings
) -> AsyncIterator[HttpEdge]:
    async with serving(installation.settings, kafka, postgres_nowhere) as built:
        yield built


@pytest.fixture
def auth(installation: Installation) -> dict[str, str]:
    return bearer(installation.token())


async def test_an_answer_is_followed_to_its_end_and_not_beyond(
    edge: HttpEdge, auth: dict[str, str]
) -> None:
    question = {"text": "How deep?"}
    async with aconnect_sse(
        edge.http, "POST", "/v1/queries:ask", json=question, headers=auth
    ) as source:
        events = source.aiter_sse()
        accepted = await anext(events)
        assert accepted.event == "accepted"
        name = accepted.json()["query"]
        cancelled = await edge.http.post(f"/v1/{name}:cancel", headers=auth)
        assert cancelled.json()["state"] == "STATE_CANCELLED"
        *_, last = [event async for event in events]
    assert last.event == "cancelled"
    assert accepted.id != last.id
    again = {**auth, "Last-Event-ID": accepted.id}
    async with aconnect_sse(edge.http, "GET", f"/v1/{name}:stream", headers=again) as source:
        assert [event.event async for event in source.aiter_sse()] == ["cancelled"]
    done = {**auth, "Last-Event-ID": last.id}
    assert (await edge.http.get(f"/v1/{name}:stream", headers=done)).status_code == 204


async def test_a_query_is_waited_for_until_it_has_ended(
    edge: HttpEdge, auth: dict[str, str], installation: Installation
) -> None:
    asked = await edge.http.post("/v1/queries", json={"text": "How deep?"}, headers=auth)
    name = asked.json()["name"]
    waiting = asyncio.create_task(
        edge.http.get(f"/v1/{name}", headers={**auth, "Prefer": "wait=20"})
    )
    # Cancelled over the other transport: it is one query.
    await QueryServiceStub(edge.channel).CancelQuery(
        CancelQueryRequest(name=name), metadata=metadata_of(installation.token())
    )
    found = await waiting
    assert found.json()["state"] == "STATE_CANCELLED"
    assert found.headers["preference-applied"] == "wait=20"
    known = {**auth, "If-None-Match": found.headers["etag"]}
    assert (await edge.http.get(f"/v1/{name}", headers=known)).status_code == 304


async def test_an_idempotency_key_makes_a_retry_the_same_query(
    edge: HttpEdge, auth: dict[str, str]
) -> None:
    key = str(RequestIds().admit(""))
    names = [
        (
            await edge.http.post(
                "/v1/queries", json={"text": text}, headers={**auth, "Idempotency-Key": key}
            )
        ).json()["name"]
        for text in ("How deep?", "How deep?", "How wide?")
    ]
    assert names[0] == names[1] != names[2]
    refused = await edge.http.post(
        "/v1/queries",
        json={"text": "How deep?"},
        headers={**auth, "Idempotency-Key": str(UUID(int=0))},
    )
    assert (refused.status_code, reason_of(refused)) == (400, "FIELD_INVALID")


async def test_documents_are_brought_in_changed_and_taken_out(
    edge: HttpEdge, auth: dict[str, str], log: LogReader
) -> None:
    path = "/v1/collections/plant/documents"
    document = {"documentId": "weir", "document": {"raw": "VGhlIHdlaXIu", "mimeType": "text/plain"}}
    taken_in = await edge.http.post(f"{path}:ingest", json=document, headers=auth)
    assert taken_in.status_code == 200, taken_in.text
    assert taken_in.json()["state"] == "STATE_ACCEPTED"
    assert taken_in.headers["etag"] == f'"{taken_in.json()["etag"]}"'
    changed = await edge.http.patch(
        f"{path}/weir", json={"visibility": "VISIBILITY_PUBLIC", "labels": {}}, headers=auth
    )
    assert changed.status_code == 200, changed.text
    deleted = await edge.http.delete(f"{path}/weir", headers=auth)
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert len(log.read(DocumentRecord)) == 1
    assert len(log.read(DocumentUpdate)) == 2


async def test_a_stranger_finds_nothing(
    edge: HttpEdge, auth: dict[str, str], installation: Installation
) -> None:
    asked = await edge.http.post("/v1/queries", json={"text": "How deep?"}, headers=auth)
    stranger = bearer(installation.token(tenant="globex"))
    for path in ("", ":stream"):
        answer = await edge.http.get(f"/v1/{asked.json()['name']}{path}", headers=stranger)
        assert (answer.status_code, reason_of(answer)) == (404, "QUERY_NOT_FOUND")


async def test_the_pipeline_is_watched(edge: HttpEdge, installation: Installation) -> None:
    operator = bearer(installation.token(scope="operate"))
    path = "/v1/pipeline:watch?interval=1s"
    async with aconnect_sse(edge.http, "GET", path, headers=operator) as source:
        events = source.aiter_sse()
        first, second = await anext(events), await anext(events)
    assert (first.event, second.event) == ("pipeline_status", "pipeline_status")
    assert first.json()["stages"]
