"""Documents from the first byte to the answer, and out of it again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import grpc.aio
import pytest

from forebay.client import (
    AsyncClient,
    DocumentFailed,
    DocumentSuperseded,
    NotFound,
    PermissionDenied,
)
from forebay.client.request_id import RequestIds
from forebay.errors.v1 import ErrorReason
from forebay.ingest.v1 import (
    Document,
    IngestDocumentRequest,
    StreamDocumentsRequest,
    StreamDocumentsResponse,
)
from forebay.policy.v1 import Visibility
from forebay.query.v1 import SubmitQueryRequest
from forebay.records.v1 import ChunkSet, DocumentRecord, DocumentUpdate
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.system import System
from forebay_workers.chunking.chunker import MOST_CHUNKS

from .conftest import Connect
from .log import LogProbe, log_probe, reason_of
from .pdf import pdf_of
from .raw_calls import (
    Services,
    bearer,
    code_and_reason,
    metadata_of,
    status_of,
    violations_of,
)

LIMIT_BYTES = 4 * 1024 * 1024
WAIT_SECONDS = 30.0
NAME = "collections/plant/documents/{}"


@pytest.fixture
def probe(system: System) -> Iterator[LogProbe]:
    with log_probe(system) as opened:
        yield opened


async def texts_for(client: AsyncClient, question: str) -> list[str]:
    """The passages that a question finds, best first; no model is asked for an answer."""
    answer = await client.ask(question, mode=SubmitQueryRequest.MODE_RETRIEVE_ONLY).answer()
    return [passage.text for passage in answer.passages]


async def put(client: AsyncClient, document_id: str, **fields: Any) -> Document:
    """Ingest a document and wait until questions find it."""
    receipt = await client.ingest("plant", document_id, **fields)
    return await client.wait_indexed(receipt.name, receipt.etag)


async def failure_of(client: AsyncClient, document_id: str, **fields: Any) -> DocumentFailed:
    receipt = await client.ingest("plant", document_id, **fields)
    with pytest.raises(DocumentFailed) as failed:
        await client.wait_indexed(receipt.name, receipt.etag, WAIT_SECONDS)
    return failed.value


def swollen_text() -> str:
    """Below half the limit as it comes, over it once each control character is a U+FFFD."""
    return "a" + "\x01" * (LIMIT_BYTES * 7 // 16)


FAILING: dict[str, tuple[dict[str, Any], str]] = {
    "white space": ({"text": " \n\t\u00a0\u3000\u200b"}, "DOCUMENT_EMPTY"),
    "markup without text": (
        {"text": "<p><br></p><script>1</script>", "mime_type": "text/html"},
        "DOCUMENT_EMPTY",
    ),
    "a scanned PDF": ({"raw": pdf_of([[], []]), "mime_type": "application/pdf"}, "DOCUMENT_EMPTY"),
    "no PDF": ({"raw": b"this is no PDF", "mime_type": "application/pdf"}, "DOCUMENT_UNPARSEABLE"),
    "half a PDF": (
        {"raw": pdf_of([["The weir."]])[:200], "mime_type": "application/pdf"},
        "DOCUMENT_UNPARSEABLE",
    ),
    "no UTF-8": ({"raw": b"\xff\xfe\x00w", "mime_type": "text/plain"}, "DOCUMENT_UNPARSEABLE"),
    "too much text": (
        {"text": swollen_text()},
        "DOCUMENT_TEXT_TOO_LARGE",
    ),
    "a heading per word": (
        {"text": "# w\n" * (MOST_CHUNKS + 1), "mime_type": "text/markdown"},
        "DOCUMENT_TEXT_TOO_LARGE",
    ),
}


@pytest.mark.parametrize("case", FAILING)
async def test_a_document_that_gives_no_text_fails_with_its_reason_and_a_dead_letter(
    connect: Connect, models: ModelServer, probe: LogProbe, case: str, tenant: str
) -> None:
    fields, reason = FAILING[case]
    client = connect()
    failed = await failure_of(client, "weir", **fields)
    assert failed.reason_name == reason
    letter = probe.letter_of(tenant)
    assert ErrorReason.Name(reason_of(letter)).removeprefix("ERROR_REASON_") == reason
    assert letter.topic == "forebay.documents.v1"
    assert letter.attempts == 1
    assert await texts_for(client, "the weir") == []


READABLE: dict[str, tuple[dict[str, Any], str]] = {
    "right to left": ({"text": "הסכר נבדק כל יום שני."}, "הסכר נבדק כל יום שני."),
    "emoji": ({"text": "The 🐟 pass 👩‍🔧 is open 🇸🇪."}, "The 🐟 pass 👩‍🔧 is open 🇸🇪."),
    "combining": ({"text": "Cafe\u0301 at the weir."}, "Cafe\u0301 at the weir."),
    "NUL in raw text": (
        {"raw": b"The weir\x00 is open.", "mime_type": "text/plain"},
        "The weir\ufffd is open.",
    ),
    "HTML": (
        {
            "text": "<h1>Weir</h1><p>Opens <b>daily</b> &amp; late.</p><script>no()</script>",
            "mime_type": "text/html",
        },
        "Opens daily & late.",
    ),
    "Markdown": (
        {"text": "# Weir\n\nOpens *daily*.", "mime_type": "text/markdown"},
        "Opens daily.",
    ),
    "PDF": (
        {"raw": pdf_of([["The weir opens daily."]]), "mime_type": "application/pdf"},
        "The weir opens daily.",
    ),
}


@pytest.mark.parametrize("case", READABLE)
async def test_text_of_every_kind_is_found_as_it_was_written(
    connect: Connect, models: ModelServer, case: str
) -> None:
    fields, expected = READABLE[case]
    client = connect()
    await put(client, "weir", **fields)
    found = await texts_for(client, "When does the weir open?")
    assert any(expected in text for text in found), found


async def test_a_document_of_exactly_the_limit_comes_to_an_end(
    connect: Connect, models: ModelServer
) -> None:
    # Long paragraphs, all alike: a few chunks' vectors are paid for, the others are known.
    line = "The weir of the forebay is inspected and its gates are greased every week.\n"
    text = (line * (LIMIT_BYTES // len(line) + 1))[:LIMIT_BYTES]
    assert len(text.encode()) == LIMIT_BYTES
    client = connect()
    receipt = await client.ingest("plant", "large", text=text)
    document = await client.wait_indexed(receipt.name, receipt.etag, 180)
    assert document.state == Document.STATE_INDEXED
    assert (await texts_for(client, "What is greased?"))[0].startswith("The weir")


async def test_a_new_version_replaces_the_old_one_whole(
    connect: Connect, models: ModelServer
) -> None:
    client = connect()
    versions = [paragraphs("old", 6), paragraphs("new", 6)]
    await put(client, "weir", text=versions[0], mime_type="text/markdown")
    async with polling(client) as seen:
        await put(client, "weir", text=versions[1], mime_type="text/markdown")
    assert {frozenset(old_or_new(texts)) for texts in seen} <= {
        frozenset({"old"}),
        frozenset({"new"}),
    }
    assert {len(texts) for texts in seen} == {6}
    assert old_or_new(seen[-1]) == {"new"}


@asynccontextmanager
async def polling(client: AsyncClient) -> AsyncIterator[list[list[str]]]:
    """Ask again and again meanwhile, and once more afterwards."""
    seen: list[list[str]] = []
    done = asyncio.Event()

    async def poll() -> None:
        while not done.is_set():
            seen.append(await texts_for(client, "weir"))

    async with asyncio.TaskGroup() as group:
        group.create_task(poll())
        yield seen
        done.set()
    seen.append(await texts_for(client, "weir"))


def paragraphs(word: str, count: int) -> str:
    return "\n\n".join(f"# Part {n}\n\nThe {word} weir, part {n}." for n in range(count))


def old_or_new(texts: Sequence[str]) -> set[str]:
    return {word for word in ("old", "new") for text in texts if word in text}


async def test_the_later_request_id_wins_even_when_it_arrives_first(
    connect: Connect, models: ModelServer
) -> None:
    client, ids = connect(), RequestIds()
    earlier, later = ids.new(), ids.new()
    await put(client, "weir", text="The weir is new.", request_id=later)
    receipt = await client.ingest("plant", "weir", text="The weir is old.", request_id=earlier)
    with pytest.raises(DocumentSuperseded) as lost:
        await client.wait_indexed(receipt.name, earlier)
    assert lost.value.document.superseded_by == later
    assert (await client.get_document(receipt.name)).etag == later
    assert await texts_for(client, "the weir") == ["The weir is new."]


async def test_a_replaced_version_says_which_took_its_place(
    connect: Connect, models: ModelServer
) -> None:
    client = connect()
    first = await put(client, "weir", text="The weir is old.", title="Old")
    second = await put(client, "weir", text="The weir is new.", title="New")
    by_etag = await client.get_document(first.name, first.etag)
    assert by_etag.state == Document.STATE_SUPERSEDED
    assert by_etag.superseded_by == second.etag
    newest = await client.get_document(first.name, second.etag)
    assert (newest.title, newest.state) == ("New", Document.STATE_INDEXED)
    with pytest.raises(NotFound):
        await client.get_document(first.name, RequestIds().new())


async def test_a_deleted_document_leaves_answers_and_lists(
    connect: Connect, models: ModelServer
) -> None:
    client = connect()
    weir = await put(client, "weir", text="The weir is open.")
    await put(client, "dam", text="The dam is shut.")
    await client.delete_document(weir.name)
    await gone(client, weir.name)
    assert await texts_for(client, "Is the weir open?") == ["The dam is shut."]
    assert [d.name async for d in client.list_documents("plant")] == [NAME.format("dam")]
    with pytest.raises(NotFound):
        await client.get_document(weir.name, weir.etag)
    await client.delete_document(NAME.format("never-was"))
    back = await put(client, "weir", text="The weir is open again.")
    assert back.etag > weir.etag


async def gone(client: AsyncClient, name: str) -> None:
    """Return once a document is not found any more."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                await client.get_document(name)
            except NotFound:
                return


@pytest.mark.over_grpc_alone("takes seconds; the stages are what is tested")
async def test_vectors_that_come_after_the_deletion_bring_nothing_back(
    connect: Connect, models: ModelServer
) -> None:
    client = connect()
    models.forget_calls()
    models.behave(embedding_seconds=3, kinds=["embeddings"])
    receipt = await client.ingest("plant", "weir", text=f"The weir {uuid4().hex}.")
    await until(lambda: bool(models.calls()["embeddings"]))
    await client.delete_document(receipt.name)
    await gone(client, receipt.name)
    assert models.calls()["running"] == 1  # the vectors are still on their way
    models.behave()
    await until(lambda: not models.calls()["running"])
    # What stands behind it in the same lane comes last.
    fence = await client.ingest("plant", "weir", text="The fence.")
    await client.wait_indexed(fence.name, fence.etag)
    assert await texts_for(client, "the weir") == ["The fence."]


async def until(holds: Callable[[], bool]) -> None:
    """Return once the model server says so; it has no events of its own."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not holds():  # noqa: ASYNC110 see above
            await asyncio.sleep(0.02)


async def test_a_collection_is_listed_by_name_over_its_pages(
    connect: Connect, models: ModelServer
) -> None:
    client = connect()
    names = [NAME.format(f"part-{n}") for n in range(5)]
    receipts = [await client.ingest("plant", f"part-{n}", text=f"Part {n}.") for n in range(5)]
    await client.ingest("elsewhere", "part-0", text="Elsewhere.")
    for receipt in receipts:
        await client.wait_indexed(receipt.name, receipt.etag)
    for size in (0, 1, 2, 5, 1000):
        listed = [document async for document in client.list_documents("plant", page_size=size)]
        assert [document.name for document in listed] == names
        assert not any(document.text or document.raw for document in listed)
    assert [d async for d in connect(tenant="t-other").list_documents("plant")] == []


async def test_a_free_caller_neither_writes_nor_sees_what_is_internal(
    connect: Connect, models: ModelServer
) -> None:
    author, free = connect(), connect("free")
    hidden = await put(author, "gate", text="The gate code is 4711.", visibility="internal")
    await put(free, "tour", text="The gate tour is at ten.", visibility="public")
    for visibility in ("internal", "confidential", None):
        with pytest.raises(PermissionDenied) as refused:
            await free.ingest("plant", "mine", text="Mine.", visibility=visibility)
        assert refused.value.reason == ErrorReason.ERROR_REASON_CLEARANCE_TOO_LOW
    for read in (free.get_document(hidden.name), free.get_document(hidden.name, hidden.etag)):
        with pytest.raises(NotFound):
            await read
    assert [d.name async for d in free.list_documents("plant")] == [NAME.format("tour")]
    assert await texts_for(free, "What is the gate code?") == ["The gate tour is at ten."]
    assert hidden.visibility == Visibility.VISIBILITY_INTERNAL


@pytest.mark.over_grpc_alone("the stages are what is tested")
async def test_the_log_forgets_the_content_of_what_was_replaced_or_deleted(
    connect: Connect, models: ModelServer, probe: LogProbe, tenant: str
) -> None:
    client = connect()
    replaced = await put(client, "weir", text="The weir is open.")
    deleted = await put(client, "weir", text="The weir is shut.")
    await client.delete_document(deleted.name)
    for version in (replaced, deleted):
        key = f"{tenant}/plant/weir@{version.etag}"
        for record in (DocumentRecord, ChunkSet):
            await asyncio.to_thread(probe.wait_ended, record, key)


async def test_a_free_caller_cannot_replace_or_delete_what_it_may_not_see(
    connect: Connect, models: ModelServer, probe: LogProbe
) -> None:
    author, free = connect(), connect("free")
    hidden = await put(author, "gate", text="The gate code is 4711.", visibility="internal")
    receipt = await free.ingest("plant", "gate", text="The gate is mine.", visibility="public")
    await free.delete_document(hidden.name)
    await asyncio.to_thread(probe.wait_caught_up, "forebay.cataloguing", DocumentUpdate)
    with pytest.raises(DocumentFailed) as failed:
        await author.wait_indexed(receipt.name, receipt.etag)
    assert failed.value.reason == ErrorReason.ERROR_REASON_CLEARANCE_TOO_LOW
    assert (await author.get_document(hidden.name)).etag == hidden.etag
    assert await texts_for(author, "the gate") == ["The gate code is 4711."]


async def test_a_refusing_model_fails_its_document_and_not_the_next(
    connect: Connect, models: ModelServer, probe: LogProbe, tenant: str
) -> None:
    client = connect()
    models.behave(refuse_status=400, kinds=["embeddings"])
    failed = await failure_of(client, "weir", text=f"The weir {uuid4().hex}.")
    assert failed.reason == ErrorReason.ERROR_REASON_MODEL_REFUSED
    letter = probe.letter_of(tenant)
    assert (reason_of(letter), letter.topic) == (failed.reason, "forebay.chunks.v1")
    models.behave()
    await put(client, "dam", text="The dam is shut.")
    assert await texts_for(client, "the dam") == ["The dam is shut."]


async def test_a_throttling_model_only_delays(connect: Connect, models: ModelServer) -> None:
    client = connect()
    models.forget_calls()
    models.behave(throttle_first=3, retry_after_seconds=0.2, kinds=["embeddings"])
    await put(client, "weir", text=f"The weir {uuid4().hex}.")
    statuses = [call["status"] for call in models.calls()["calls"]]
    assert statuses == [429, 429, 429, 200]


@pytest.mark.over_grpc_alone("HTTP has no streams of requests")
async def test_a_stream_answers_good_and_bad_documents_by_sequence(
    connect: Connect, models: ModelServer, system: System, tenant: str
) -> None:
    good, bad = ("first", "third", "fifth"), {2: "Second", 4: ""}
    ids = {1: good[0], 2: bad[2], 3: good[1], 4: bad[4], 5: good[2]}
    responses: dict[int, StreamDocumentsResponse] = {}
    await streamed(system, tenant, ids, responses)
    assert sorted(responses) == [1, 2, 3, 4, 5]
    for sequence, response in responses.items():
        if sequence in bad:
            assert code_and_reason(response.error) == ("INVALID_ARGUMENT", "FIELD_INVALID")
            assert violations_of(response.error) == [("ingest.document_id", "STRING_PATTERN")]
        else:
            assert response.document.name == NAME.format(ids[sequence])
    client = connect()
    for sequence in (1, 3, 5):
        receipt = responses[sequence].document
        await client.wait_indexed(receipt.name, receipt.etag)
    assert [d.name async for d in client.list_documents("plant")] == sorted(map(NAME.format, good))


@pytest.mark.over_grpc_alone("HTTP has no streams of requests")
async def test_a_gap_in_the_sequences_ends_the_stream_after_what_came_before(
    connect: Connect, models: ModelServer, system: System, tenant: str
) -> None:
    seen: dict[int, StreamDocumentsResponse] = {}
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await streamed(system, tenant, {1: "first", 2: "second", 4: "fourth"}, seen)
    status = status_of(ended.value)
    assert code_and_reason(status) == ("INVALID_ARGUMENT", "SEQUENCE_INVALID")
    assert metadata_of(status) == {"expected": "3"}
    assert sorted(seen) == [1, 2]
    client = connect()
    for response in seen.values():
        await client.wait_indexed(response.document.name, response.document.etag)
    names = [document.name async for document in client.list_documents("plant")]
    assert names == [NAME.format("first"), NAME.format("second")]


async def streamed(
    system: System,
    tenant: str,
    ids: dict[int, str],
    seen: dict[int, StreamDocumentsResponse],
) -> None:
    """Send documents by sequence and note the responses."""

    async def requests() -> AsyncIterator[StreamDocumentsRequest]:
        for sequence, document_id in ids.items():
            ingest = IngestDocumentRequest(
                parent="collections/plant",
                document_id=document_id,
                document=Document(text=f"The {document_id or 'nameless'} one."),
            )
            yield StreamDocumentsRequest(sequence=sequence, ingest=ingest)

    metadata = bearer(system.issuer.mint(tenant, "author", "enterprise"))
    async with grpc.aio.insecure_channel(system.addresses.grpc) as channel:
        stream = Services(channel).documents.StreamDocuments(
            requests(), metadata=metadata, timeout=WAIT_SECONDS
        )
        async for response in stream:
            assert response.sequence not in seen
            seen[response.sequence] = response
