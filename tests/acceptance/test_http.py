"""The whole system over HTTP: what a browser or a script does, without a client of ours."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from httpx_sse import ServerSentEvent, aconnect_sse

from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.issuer import every_scope
from forebay_standalone.system import System

from .conftest import Connect

TEXT = "The weir is inspected every Monday."
QUESTION = {"text": "When is the weir inspected?"}
EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture
async def http(system: System, tenant: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of the test's own tenant."""
    token = system.issuer.mint(
        tenant, "standard-user", "standard", every_scope(), (), timedelta(minutes=10)
    )
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=f"http://{system.addresses.http}", headers=headers, timeout=30
    ) as client:
        yield client


async def bring(http: httpx.AsyncClient, connect: Connect) -> str:
    """A document that came by HTTP, once questions find it."""
    document = {"text": TEXT, "visibility": "VISIBILITY_INTERNAL"}
    body = {"documentId": "weir", "document": document}
    brought = await http.post("/v1/collections/plant/documents:ingest", json=body)
    assert brought.status_code == 200, brought.text
    receipt = brought.json()
    await connect().wait_indexed(receipt["name"], receipt["etag"])
    return str(receipt["name"])


async def followed(
    http: httpx.AsyncClient, method: str, path: str, **request: Any
) -> list[ServerSentEvent]:
    async with aconnect_sse(http, method, path, **request) as source:
        assert source.response.status_code == 200
        return [event async for event in source.aiter_sse()]


async def test_a_question_is_answered_event_by_event(
    http: httpx.AsyncClient, connect: Connect, models: ModelServer
) -> None:
    await bring(http, connect)
    events = await followed(http, "POST", "/v1/queries:ask", json=QUESTION, headers=EVENTS)
    kinds = [event.event for event in events]
    assert (kinds[0], kinds[-1]) == ("accepted", "completed")
    said = "".join(json.loads(e.data)["delta"]["text"] for e in events if e.event == "delta")
    completed = json.loads(events[-1].data)
    assert said == completed["completed"]["answer"]
    found = await http.get(f"/v1/{completed['query']}")
    assert (found.json()["state"], found.json()["answer"]) == ("STATE_COMPLETED", said)
    whole = [event async for event in connect("standard").follow(completed["query"])]
    assert [event.cursor for event in whole] == [event.id for event in events]


async def test_a_stream_resumes_behind_every_event_and_is_over_behind_the_last(
    http: httpx.AsyncClient, connect: Connect, models: ModelServer
) -> None:
    await bring(http, connect)
    models.behave(answer_tokens=20)
    events = await followed(http, "POST", "/v1/queries:ask", json=QUESTION, headers=EVENTS)
    path = f"/v1/{json.loads(events[0].data)['query']}:stream"
    for position, event in enumerate(events[:-1]):
        rest = await followed(http, "GET", path, headers={**EVENTS, "Last-Event-ID": event.id})
        assert [each.id for each in rest] == [each.id for each in events[position + 1 :]]
    over = await http.get(path, headers={**EVENTS, "Last-Event-ID": events[-1].id})
    assert over.status_code == 204


async def test_a_name_of_somebody_else_is_not_there(
    http: httpx.AsyncClient, connect: Connect, models: ModelServer
) -> None:
    query = await connect("standard", subject="somebody-else").submit("Whose question?")
    for path in (f"/v1/{query.name}", f"/v1/{query.name}:stream", f"/v1/{query.name[:-1]}0"):
        refused = await http.get(path)
        assert refused.status_code == 404
        [info] = [each for each in refused.json()["details"] if "reason" in each]
        assert info["reason"] == "QUERY_NOT_FOUND"


async def test_a_document_changes_only_from_the_etag_that_was_seen(
    http: httpx.AsyncClient, connect: Connect
) -> None:
    name = await bring(http, connect)
    seen = await http.get(f"/v1/{name}")
    change = {"labels": {"team": "north"}}
    first = await http.patch(
        f"/v1/{name}",
        params={"updateMask": "labels"},
        json=change,
        headers={"If-Match": seen.headers["etag"]},
    )
    assert first.status_code == 200
    await connect().wait_indexed(name, first.json()["etag"])
    again = await http.patch(
        f"/v1/{name}",
        params={"updateMask": "labels"},
        json=change,
        headers={"If-Match": seen.headers["etag"]},
    )
    assert again.status_code == 412


async def test_a_probe_learns_that_the_edge_is_ready(http: httpx.AsyncClient) -> None:
    ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert (await http.get("/healthz")).status_code == 200
    assert (await http.get("/openapi.json")).json()["openapi"].startswith("3.")
