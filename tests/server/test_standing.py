"""Streams that run while their caller loses what it was admitted with."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from forebay.ingest.v1 import (
    Document,
    IngestDocumentRequest,
    IngestServiceStub,
    StreamDocumentsRequest,
)
from forebay.pipeline.v1 import PipelineServiceStub, WatchPipelineRequest
from forebay.query.v1 import AskRequest, QueryServiceStub, SubmitQueryRequest

from .calls import bearer, reason_of, status_of
from .conftest import POLICY, Installation

LIMIT_SECONDS = 5.0
LEEWAY_SECONDS = 30  # what an issuer grants that says nothing of it
SCOPES = "ask ingest operate"
Stream = Callable[[grpc.aio.Channel, Any], Any]


async def never_ending() -> AsyncIterator[StreamDocumentsRequest]:
    document = Document(text="x")
    ingest = IngestDocumentRequest(
        parent="collections/plant", document_id="weir", document=document
    )
    yield StreamDocumentsRequest(sequence=1, ingest=ingest)
    await asyncio.Event().wait()


def documents(channel: grpc.aio.Channel, metadata: Any) -> Any:
    return IngestServiceStub(channel).StreamDocuments(never_ending(), metadata=metadata)


def pipeline(channel: grpc.aio.Channel, metadata: Any) -> Any:
    request = WatchPipelineRequest()
    request.interval.FromSeconds(60)
    return PipelineServiceStub(channel).WatchPipeline(request, metadata=metadata)


def answer(channel: grpc.aio.Channel, metadata: Any) -> Any:
    request = AskRequest(query=SubmitQueryRequest(text="Which weir?"))
    return QueryServiceStub(channel).Ask(request, metadata=metadata)


@dataclass(frozen=True)
class Loss:
    """An edit of the edge's files, and what streams that run meanwhile end with."""

    file: str
    content: Callable[[Path], str]
    streams: tuple[Stream, ...]
    reason: str


def issuers(folder: Path, **changed: Any) -> str:
    [issuer] = json.loads((folder / "issuers.json").read_text())
    return json.dumps([issuer | changed])


LOSSES = {
    "tenant": Loss(
        "issuers.json",
        lambda folder: issuers(folder, tenants=["globex"], operators=True),
        (documents, pipeline, answer),
        "TOKEN_INVALID",
    ),
    "tier": Loss(
        "policy.yaml",
        lambda _: POLICY.replace("enterprise", "other"),
        (documents, pipeline, answer),
        "TIER_UNKNOWN",
    ),
    "clearance": Loss(
        "policy.yaml",
        lambda _: POLICY.replace("CONFIDENTIAL", "INTERNAL"),
        (documents, pipeline),
        "CLEARANCE_TOO_LOW",
    ),
    "operators": Loss(
        "issuers.json",
        lambda folder: issuers(folder, operators=False),
        (pipeline,),
        "SCOPE_MISSING",
    ),
}


async def rest_of(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def ends(call: Any) -> str:
    """The reason that a stream ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await rest_of(call)
    return reason_of(status_of(ended.value))


async def begun(streams: tuple[Stream, ...], channel: grpc.aio.Channel, token: str) -> list[Any]:
    calls = [stream(channel, bearer(token)) for stream in streams]
    await asyncio.gather(*(call.read() for call in calls))
    return calls


@pytest.mark.parametrize("lost", LOSSES)
async def test_a_stream_ends_once_its_caller_loses_what_it_was_admitted_with(
    channel: grpc.aio.Channel, installation: Installation, lost: str
) -> None:
    loss = LOSSES[lost]
    calls = await begun(loss.streams, channel, installation.token(scope=SCOPES))
    folder = installation.settings.policy_file.parent
    (folder / loss.file).write_text(loss.content(folder))
    async with asyncio.timeout(LIMIT_SECONDS):
        assert await asyncio.gather(*map(ends, calls)) == [loss.reason] * len(calls)


async def test_a_silent_stream_of_documents_ends_with_its_token(
    channel: grpc.aio.Channel, installation: Installation
) -> None:
    nearly_over = int(time.time()) - LEEWAY_SECONDS + 2
    token = installation.token(exp=nearly_over, iat=nearly_over - 60)
    [call] = await begun((documents,), channel, token)
    async with asyncio.timeout(LIMIT_SECONDS):
        assert await ends(call) == "TOKEN_EXPIRED"
