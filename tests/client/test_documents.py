import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.rpc.status_pb2 import Status

from forebay.client import (
    DeadlineExceeded,
    DocumentFailed,
    DocumentSuperseded,
    NewDocument,
    PermissionDenied,
)
from forebay.errors.v1 import ErrorReason
from forebay.ingest.v1 import Document, ListDocumentsResponse, StreamDocumentsResponse
from forebay.policy.v1 import Visibility

from .driver import Driver
from .peer import Behaviour, Peer, refuse, reply, status

NAME = "collections/default/documents/a"
NOT_KNOWN = status(grpc.StatusCode.NOT_FOUND, "DOCUMENT_NOT_FOUND")
LOG_AWAY = status(grpc.StatusCode.UNAVAILABLE, "LOG_UNAVAILABLE", retry_after=0.01)
TOO_LARGE = status(grpc.StatusCode.INVALID_ARGUMENT, "DOCUMENT_TOO_LARGE", "over 4 MiB")
CLOCK = status(
    grpc.StatusCode.INVALID_ARGUMENT,
    "REQUEST_ID_OUT_OF_WINDOW",
    server_time="2031-05-06T07:08:09Z",
)


def documents(number: int) -> list[NewDocument]:
    return [NewDocument("default", f"d{each}", text=f"text {each}") for each in range(number)]


class Log:
    """Receives streams of documents as the contract says, with purposes of its own."""

    def __init__(self) -> None:
        self.versions = defaultdict[str, set[str]](set)
        self.streams = 0
        self.most_unanswered = 0

    def receive(
        self, *, break_after: int | None = None, refusals: dict[str, Status] | None = None
    ) -> Behaviour:
        """`break_after` that many documents; `refusals`: a status per document id, used once."""
        refusals = refusals or {}

        async def behave(requests: Any, context: Any) -> None:
            self.streams += 1
            expected = 0
            async for request in requests:
                expected += 1
                assert request.sequence == expected
                ingest = request.ingest
                self.versions[ingest.document_id].add(ingest.request_id)
                if break_after == expected:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer")
                response = StreamDocumentsResponse(sequence=request.sequence)
                if (refusal := refusals.pop(ingest.document_id, None)) is not None:
                    response.error.CopyFrom(refusal)
                else:
                    name = f"{ingest.parent}/documents/{ingest.document_id}"
                    response.document.CopyFrom(Document(name=name, etag=ingest.request_id))
                await context.write(response)

        return behave


@pytest.fixture
def log() -> Log:
    return Log()


async def test_a_document_arrives_as_it_was_given(peer: Peer, driver: Driver) -> None:
    peer.on("IngestDocument", reply(Document(name=NAME, etag="v")))
    receipt = await driver.call(
        "ingest",
        "default",
        "a",
        raw=b"%PDF",
        title="A",
        mime_type="application/pdf",
        visibility="internal",
        readers=["ops"],
        labels={"year": "2024"},
        source_uri="file:a.pdf",
    )
    assert receipt.name == NAME
    request = peer.requests("IngestDocument")[0]
    assert (request.parent, request.document_id) == ("collections/default", "a")
    assert request.document == Document(
        title="A",
        mime_type="application/pdf",
        raw=b"%PDF",
        visibility=Visibility.VISIBILITY_INTERNAL,
        readers=["ops"],
        labels={"year": "2024"},
        source_uri="file:a.pdf",
    )


@pytest.mark.parametrize("content", [{}, {"text": "t", "raw": b"r"}])
async def test_a_document_has_either_text_or_raw(driver: Driver, content: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either text or raw"):
        await driver.call("ingest", "default", "a", **content)


async def test_many_documents_get_an_outcome_each(peer: Peer, driver: Driver, log: Log) -> None:
    peer.on("StreamDocuments", log.receive(refusals={"d3": TOO_LARGE}))
    outcomes = await driver.collect("ingest_many", documents(300))
    assert [outcome.source.document_id for outcome in outcomes] == [f"d{n}" for n in range(300)]
    assert [each.source.document_id for each in outcomes if each.error] == ["d3"]
    assert outcomes[3].error.reason == ErrorReason.ERROR_REASON_DOCUMENT_TOO_LARGE
    assert outcomes[4].document.name == "collections/default/documents/d4"
    assert log.streams == 1


@pytest.mark.parametrize("break_after", [1, 2, 64, 150])
async def test_a_broken_stream_loses_and_repeats_nothing(
    peer: Peer, driver: Driver, log: Log, break_after: int
) -> None:
    peer.on("StreamDocuments", log.receive(break_after=break_after), log.receive())
    outcomes = await driver.collect("ingest_many", documents(150))
    assert [outcome.source.document_id for outcome in outcomes] == [f"d{n}" for n in range(150)]
    assert all(outcome.document for outcome in outcomes)
    assert log.streams == 2
    assert {len(versions) for versions in log.versions.values()} == {1}


async def test_a_stream_that_ends_before_its_last_receipt_is_taken_up_again(
    peer: Peer, driver: Driver, log: Log
) -> None:
    async def swallow(requests: Any, _context: Any) -> None:
        async for _ in requests:
            return

    peer.on("StreamDocuments", swallow, log.receive())
    outcomes = await driver.collect("ingest_many", documents(5))
    assert [outcome.source.document_id for outcome in outcomes] == [f"d{n}" for n in range(5)]


async def test_a_document_that_the_log_could_not_take_is_sent_again(
    peer: Peer, driver: Driver, log: Log
) -> None:
    peer.on("StreamDocuments", log.receive(refusals={"d1": LOG_AWAY}), log.receive())
    outcomes = await driver.collect("ingest_many", documents(10))
    assert sorted(each.source.document_id for each in outcomes if each.document) == [
        f"d{number}" for number in range(10)
    ]
    assert {len(versions) for versions in log.versions.values()} == {1}


async def test_a_clock_that_is_off_costs_no_document(peer: Peer, driver: Driver, log: Log) -> None:
    refusals = {f"d{number}": CLOCK for number in range(64)}
    peer.on("StreamDocuments", log.receive(refusals=refusals), log.receive())
    outcomes = await driver.collect("ingest_many", documents(100))
    assert len(outcomes) == 100
    assert all(outcome.document for outcome in outcomes)
    assert outcomes[-1].document.etag.startswith("01c2")


async def test_no_more_documents_are_taken_than_the_window_holds(
    peer: Peer, driver: Driver
) -> None:
    loop = asyncio.get_running_loop()
    go, full, too_many = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def silent(requests: Any, context: Any) -> None:
        received = []
        async for request in requests:
            received.append(request.sequence)
            if len(received) == 64:
                full.set()
                break
        await go.wait()
        for sequence in received:
            await context.write(StreamDocumentsResponse(sequence=sequence, document=Document()))
        async for request in requests:
            await context.write(
                StreamDocumentsResponse(sequence=request.sequence, document=Document())
            )

    def source() -> Iterator[NewDocument]:
        for taken, document in enumerate(documents(200)):
            if taken == 64 and not go.is_set():
                loop.call_soon_threadsafe(too_many.set)
            yield document

    peer.on("StreamDocuments", silent)
    collecting = asyncio.create_task(driver.collect("ingest_many", source()))
    await full.wait()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(too_many.wait(), 0.2)
    go.set()
    assert len(await collecting) == 200


async def test_an_error_of_the_source_comes_after_the_receipts_before_it(
    peer: Peer, driver: Driver, log: Log
) -> None:
    peer.on("StreamDocuments", log.receive())

    def source() -> Iterator[NewDocument]:
        yield from documents(3)
        raise LookupError("the disk is gone")

    with pytest.raises(LookupError, match="the disk is gone"):
        await driver.collect("ingest_many", source())
    assert sorted(log.versions) == ["d0", "d1", "d2"]


async def test_a_source_may_use_the_same_client(
    peer: Peer, driver_class: type[Driver], log: Log
) -> None:
    driver = driver_class(peer.target)
    peer.on("StreamDocuments", log.receive())
    peer.on("GetDocument", reply(Document(name=NAME)))

    def with_sync_client() -> Iterator[NewDocument]:
        for document in documents(3):
            driver.client.get_document(NAME)
            yield document

    async def with_async_client() -> AsyncIterator[NewDocument]:
        for document in documents(3):
            await driver.client.get_document(NAME)
            yield document

    sync = driver_class.__name__ == "SyncDriver"
    source = with_sync_client() if sync else with_async_client()
    try:
        assert len(await driver.collect("ingest_many", source)) == 3
    finally:
        await driver.close()


async def test_a_stream_that_is_refused_raises_that(peer: Peer, driver: Driver) -> None:
    peer.on(
        "StreamDocuments",
        refuse(status(grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", "no scope")),
    )
    with pytest.raises(PermissionDenied, match="no scope"):
        await driver.collect("ingest_many", documents(3))


async def test_nothing_to_bring_in_is_no_error(peer: Peer, driver: Driver, log: Log) -> None:
    peer.on("StreamDocuments", log.receive())
    assert await driver.collect("ingest_many", []) == []


async def test_a_document_is_waited_for_until_questions_find_it(peer: Peer, driver: Driver) -> None:
    peer.on(
        "GetDocument",
        refuse(NOT_KNOWN),
        reply(Document(name=NAME, state=Document.STATE_ACCEPTED)),
        reply(Document(name=NAME, state=Document.STATE_INDEXED)),
    )
    document = await driver.call("wait_indexed", NAME, "v1")
    assert document.state == Document.STATE_INDEXED
    assert {request.etag for request in peer.requests("GetDocument")} == {"v1"}


async def test_a_document_that_failed_says_why(peer: Peer, driver: Driver) -> None:
    error = status(grpc.StatusCode.INVALID_ARGUMENT, "DOCUMENT_EMPTY", "no text in it")
    peer.on("GetDocument", reply(Document(state=Document.STATE_FAILED, error=error)))
    with pytest.raises(DocumentFailed, match="no text in it") as caught:
        await driver.call("wait_indexed", NAME)
    assert caught.value.reason == ErrorReason.ERROR_REASON_DOCUMENT_EMPTY


async def test_a_document_that_lost_says_to_which(peer: Peer, driver: Driver) -> None:
    lost = Document(state=Document.STATE_SUPERSEDED, superseded_by="v2")
    peer.on("GetDocument", reply(lost))
    with pytest.raises(DocumentSuperseded, match="v2"):
        await driver.call("wait_indexed", NAME, "v1")


@pytest.mark.parametrize("state", ["not known", "ACCEPTED"])
async def test_waiting_ends_with_its_time(peer: Peer, driver: Driver, state: str) -> None:
    known = reply(Document(state=Document.STATE_ACCEPTED))
    peer.on("GetDocument", refuse(NOT_KNOWN) if state == "not known" else known)
    with pytest.raises(DeadlineExceeded, match=state):
        await driver.call("wait_indexed", NAME, timeout=0.2)


async def test_a_list_goes_over_all_pages(peer: Peer, driver: Driver) -> None:
    first, second = Document(name=NAME), Document(name=f"{NAME}b")
    peer.on(
        "ListDocuments",
        reply(ListDocumentsResponse(documents=[first], next_page_token="more")),
        reply(ListDocumentsResponse(documents=[second])),
    )
    assert await driver.collect("list_documents", "default", page_size=1) == [first, second]
    pages = [(each.parent, each.page_token) for each in peer.requests("ListDocuments")]
    assert pages == [("collections/default", ""), ("collections/default", "more")]


async def test_a_deletion_is_tried_again_as_the_same_one(peer: Peer, driver: Driver) -> None:
    peer.on("DeleteDocument", refuse(LOG_AWAY), reply(Empty()))
    await driver.call("delete_document", NAME)
    first, second = peer.requests("DeleteDocument")
    assert first == second
    assert first.request_id


async def test_a_change_says_only_what_changes_and_is_tried_again_as_the_same_one(
    peer: Peer, driver: Driver
) -> None:
    peer.on("UpdateDocument", refuse(LOG_AWAY), reply(Document(name=NAME, etag="2")))
    changed = await driver.call("update_document", NAME, visibility="internal", readers=[])
    assert changed.etag == "2"
    first, second = peer.requests("UpdateDocument")
    assert first == second
    assert first.request_id
    assert list(first.update_mask.paths) == ["visibility", "readers"]
    assert first.document == Document(name=NAME, visibility=Visibility.VISIBILITY_INTERNAL)


async def test_a_change_of_nothing_is_refused_at_once(peer: Peer, driver: Driver) -> None:
    with pytest.raises(ValueError, match="visibility, readers or labels"):
        await driver.call("update_document", NAME, etag="1")
    assert peer.requests("UpdateDocument") == []
