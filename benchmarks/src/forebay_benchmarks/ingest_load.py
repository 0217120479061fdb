"""Documents over StreamDocuments with a full window, and until questions find them."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TypeAlias
from uuid import uuid4

import grpc.aio

from forebay.ingest.v1 import (
    Document,
    IngestDocumentRequest,
    IngestServiceStub,
    ListDocumentsRequest,
    ListDocumentsResponse,
    StreamDocumentsRequest,
    StreamDocumentsResponse,
)
from forebay_benchmarks.child import AsyncMeasure
from forebay_benchmarks.document_source import DocumentSource
from forebay_benchmarks.errors import BenchmarkError
from forebay_benchmarks.samples import Sample
from forebay_benchmarks.submit_load import own_connection

WINDOW = 64  # what the contract lets a caller send ahead of its receipts
_LOOK_SECONDS = 0.02  # how often the states of a batch are asked for
_INDEXED_SECONDS = 60.0
_PAGE = 1000  # the contract's largest

Metadata: TypeAlias = tuple[tuple[str, str], ...]
StreamDocuments: TypeAlias = (
    "grpc.aio.StreamStreamMultiCallable[StreamDocumentsRequest, StreamDocumentsResponse]"
)
ListDocuments: TypeAlias = (
    "grpc.aio.UnaryUnaryMultiCallable[ListDocumentsRequest, ListDocumentsResponse]"
)


@dataclass(frozen=True)
class IngestLoad:
    """Where documents go, as whose, how large they are (bytes), and how many make a batch."""

    target: str
    token: str
    document_bytes: int
    batch: int = 64


@asynccontextmanager
async def accepted_load(config: IngestLoad) -> AsyncIterator[AsyncMeasure]:
    """Yield what measures documents until their receipt, on one stream a round."""
    source = DocumentSource(config.document_bytes)
    async with own_connection(config.target) as channel:
        stub = IngestServiceStub(channel)

        async def measure(seconds: float) -> Sample:
            end = perf_counter() + seconds
            documents = iter(lambda: source.next("collections/accepted"), None)
            wanted = itertools.takewhile(lambda _: perf_counter() < end, documents)
            return await _send(stub.StreamDocuments, _metadata(config), lambda: next(wanted, None))

        yield measure


@asynccontextmanager
async def indexed_load(config: IngestLoad) -> AsyncIterator[AsyncMeasure]:
    """Yield what measures documents until questions find them, batch after batch."""
    source = DocumentSource(config.document_bytes)
    async with own_connection(config.target) as channel:
        stub = IngestServiceStub(channel)

        async def batch() -> float:
            began = perf_counter()
            parent = f"collections/{uuid4().hex}"
            documents = iter([source.next(parent) for _ in range(config.batch)])
            await _send(stub.StreamDocuments, _metadata(config), lambda: next(documents, None))
            async with asyncio.timeout(_INDEXED_SECONDS):
                await _until_indexed(stub.ListDocuments, _metadata(config), parent, config.batch)
            return perf_counter() - began

        async def measure(seconds: float) -> Sample:
            began = perf_counter()
            latencies: list[float] = []
            while perf_counter() - began < seconds:
                latencies += [await batch()] * config.batch
            return Sample(perf_counter() - began, tuple(latencies))

        yield measure


async def _send(
    stream: StreamDocuments,
    metadata: Metadata,
    following: Callable[[], IngestDocumentRequest | None],
) -> Sample:
    """Send until there are no more documents, with a full window; latencies are to receipts."""
    room = asyncio.Semaphore(WINDOW)
    sent: dict[int, float] = {}
    latencies: list[float] = []
    failures: list[str] = []

    async def requests() -> AsyncIterator[StreamDocumentsRequest]:
        for sequence in itertools.count(1):
            await room.acquire()
            if (document := following()) is None:
                return
            sent[sequence] = perf_counter()
            yield StreamDocumentsRequest(sequence=sequence, ingest=document)

    began = perf_counter()
    async for receipt in stream(requests(), metadata=metadata):
        room.release()
        latency = perf_counter() - sent.pop(receipt.sequence)
        if receipt.HasField("document"):
            latencies.append(latency)
        else:
            failures.append(receipt.error.message)
    return Sample(perf_counter() - began, tuple(latencies), len(failures), "".join(failures[:1]))


async def _until_indexed(
    list_documents: ListDocuments, metadata: Metadata, parent: str, count: int
) -> None:
    """Look until a collection holds so many indexed documents. Raises BenchmarkError."""
    wanted = ListDocumentsRequest(parent=parent, page_size=_PAGE)
    indexed = 0
    while indexed < count:
        await asyncio.sleep(_LOOK_SECONDS)
        page = await list_documents(wanted, metadata=metadata)
        states = [document.state for document in page.documents]
        if Document.STATE_FAILED in states:
            raise BenchmarkError("a document could not be indexed")
        indexed = states.count(Document.STATE_INDEXED)


def _metadata(config: IngestLoad) -> Metadata:
    return (("authorization", f"Bearer {config.token}"),)
