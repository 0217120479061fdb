"""Nothing of questions, documents, tokens and metadata stands where only facts about them belong.

Words that exist nowhere else go into every place that a client can fill, on ways that end well and
on ways that do not; then everything that the system writes about them is searched.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from uuid import uuid4

import confluent_kafka
import grpc.aio
import httpx
import psycopg
import pytest
from google.protobuf.message import Message

from forebay.client import AsyncClient, DocumentFailed, QueryFailed
from forebay.ingest.v1 import Document, IngestDocumentRequest, ListDocumentsRequest
from forebay.query.v1 import GetQueryRequest, StreamAnswerRequest, SubmitQueryRequest
from forebay.records.v1 import AnswerRecord, ChunkSet, DocumentRecord, QueryRecord
from forebay_benchmarks.model_server.process import ModelServer
from forebay_kafka.topics import topic_of
from forebay_standalone.system import System

from .audit_files import AuditFiles, Line, of
from .conftest import Connect
from .content_free import RecordsSince, figures, finds, login, logs, without_content
from .log import LogProbe, log_probe
from .pdf import pdf_of
from .raw_calls import Services, refused, refused_stream

pytestmark = pytest.mark.over_grpc_alone("it goes over both")
PLACES = ("question", "title", "body", "label", "uri", "reader", "token", "metadata", "field")


@dataclass(frozen=True)
class Stage:
    """A system, the words that are looked for in what it says, and what it said to clients."""

    system: System
    words: dict[str, str]
    told: dict[str, bytes]

    def tell(self, where: str, text: object) -> None:
        self.told[where] = str(text).encode()

    def document(self, **changed: object) -> dict[str, object]:
        words = self.words
        usual = {
            "text": f"The weir opens at {words['body']}.",
            "title": words["title"],
            "labels": {"note": words["label"]},
            "source_uri": f"file:///{words['uri']}",
            "readers": [words["reader"]],
        }
        return usual | changed


@pytest.fixture
def stage(system: System) -> Stage:
    return Stage(system, {place: f"{place}-{uuid4().hex}" for place in PLACES}, {})


@pytest.fixture
def probe(system: System) -> Iterator[LogProbe]:
    with log_probe(system) as opened:
        yield opened


@pytest.fixture
async def client(connect: Connect, stage: Stage) -> AsyncClient:
    return connect(groups=(stage.words["reader"],))


@pytest.fixture
async def services(system: System) -> AsyncIterator[Services]:
    async with grpc.aio.insecure_channel(system.addresses.grpc) as channel:
        yield Services(channel)


async def test_nothing_of_what_people_send_stands_in_logs_figures_or_errors(
    stage: Stage,
    client: AsyncClient,
    services: Services,
    models: ModelServer,
    watched: RecordsSince,
    probe: LogProbe,
    tenant: str,
) -> None:
    query = await all_goes_well(stage, client)
    await calls_are_refused(stage, services, tenant)
    await http_calls_are_refused(stage, tenant)
    await models_echo_their_prompt(stage, client, models)
    await documents_cannot_be_read(stage, client)
    await asyncio.to_thread(records_are_poison, stage, probe, query)
    await client.get_query(query)
    await asyncio.to_thread(postgres_refuses_a_row, stage)
    audit = AuditFiles(stage.system)
    await audit.until(lambda lines: any(map(was_shown_a_query, of(tenant, lines))))

    texts = {
        **stage.told,
        **logs(stage.system),
        **figures(stage.system),
        **without_content(watched.read()),
        "audit files": audit.text().encode(),
    }
    assert {"edge.log", "indexing.log", "answering.log", "postgres.log"} <= texts.keys()
    assert len(stage.told) > 30  # every way that fails was walked
    assert finds(stage.words, texts) == []
    assert tenant.encode() not in b"".join(figures(stage.system).values())


def was_shown_a_query(line: Line) -> bool:
    return (line["api"]["operation"], line["action"]) == ("GetQuery", "Allowed")


async def all_goes_well(stage: Stage, client: AsyncClient) -> str:
    receipt = await client.ingest("plant", "weir", **stage.document())  # type: ignore[arg-type]
    await client.wait_indexed(receipt.name, receipt.etag)
    question = f"When does the weir open, asks {stage.words['question']}?"
    answer = await client.ask(question, filter={"note": stage.words["label"]}).answer()
    assert stage.words["body"] in answer.text
    return answer.query


def metadata_of(stage: Stage, token: str) -> tuple[tuple[str, str], ...]:
    word = stage.words["metadata"]
    return (("authorization", f"Bearer {token}"), ("x-note", word), ("traceparent", word))


async def calls_are_refused(stage: Stage, services: Services, tenant: str) -> None:
    words, field = stage.words, stage.words["field"]
    good = metadata_of(stage, stage.system.issuer.mint(tenant, "somebody", "free"))
    bad = metadata_of(stage, f"{words['token']}.{words['token']}.{words['token']}")
    header, payload, signature = good[0][1].removeprefix("Bearer ").split(".")
    forged = metadata_of(stage, f"{header}.{payload}.{signature[::-1]}")
    words["signature"] = signature[:40]
    ask, ingest = services.queries.SubmitQuery, services.documents.IngestDocument
    question = SubmitQueryRequest(text=f"Why {words['question']}?")
    questions = [
        SubmitQueryRequest(text=f"{words['question']}\0"),
        SubmitQueryRequest(text=words["question"], collections=[f"NO {field}"]),
        SubmitQueryRequest(text=words["question"], filter={"note": f"{field}\0"}),
        SubmitQueryRequest(text=words["question"], request_id=field),
        SubmitQueryRequest(text=words["question"] * 5000),
    ]
    documents = [
        {"visibility": 3},
        {"visibility": 1, "mime_type": field},
        {"visibility": 1, "title": f"{words['title']}\0"},
        {"visibility": 1, "readers": [words["reader"]] * 2},
        {"visibility": 1, "labels": {"note": f"{words['label']}\0"}},
        {"visibility": 1, "source_uri": words["uri"] * 100},
        {"visibility": 1, "text": f"{words['body']} " * 150_000},
    ]
    for name, metadata in (("bad", bad), ("forged", forged)):
        stage.tell(f"a token that is {name}", await refused(ask(question, metadata=metadata)))
    for number, each in enumerate(questions):
        stage.tell(f"question {number}", await refused(ask(each, metadata=good)))
    for number, changed in enumerate(documents):
        document = Document(**stage.document(**changed))
        request = IngestDocumentRequest(
            parent="collections/plant", document_id="weir", document=document
        )
        stage.tell(f"document {number}", await refused(ingest(request, metadata=good)))
    name = f"queries/{field}"
    listed = ListDocumentsRequest(parent="collections/plant", page_token=field)
    get, listing = services.queries.GetQuery, services.documents.ListDocuments
    stream = services.queries.StreamAnswer
    stage.tell("a name", await refused(get(GetQueryRequest(name=name), metadata=good)))
    stage.tell("a page token", await refused(listing(listed, metadata=good)))
    follow = StreamAnswerRequest(name=name, after_cursor=field)
    stage.tell("a cursor", await refused_stream(stream(follow, metadata=good)))


async def http_calls_are_refused(stage: Stage, tenant: str) -> None:
    words, field = stage.words, stage.words["field"]
    token = stage.system.issuer.mint(tenant, "somebody", "free")
    headers = {"authorization": f"Bearer {token}", "x-note": words["metadata"]}
    ask, ingest = "/v1/queries", "/v1/collections/plant/documents:ingest"
    bodies: list[tuple[str, object]] = [
        (ask, {"text": words["question"], "topK": field}),
        (ask, {"text": words["question"], "mode": field}),
        (ask, {"text": words["question"], "timeout": field}),
        (ask, {"text": [words["question"]]}),
        (ask, {"text": words["question"], "filter": {"note": [field]}}),
        (ask, [words["question"]]),
        (ingest, {"documentId": field.upper(), "document": {"text": words["body"]}}),
        (ingest, {"documentId": "weir", "document": {"raw": f"?{words['body']}"}}),
        (ingest, {"documentId": "weir", "document": {"text": "x", "visibility": field}}),
        (ingest, {"documentId": "weir", "document": {"text": words["body"], "labels": field}}),
    ]
    gets = [
        f"/v1/queries/{field}",
        f"/v1/queries/{field}:stream",
        f"/v1/{field}",
        f"/v1/collections/plant/documents?pageToken={field}",
        f"/v1/collections/plant/documents?pageSize={field}",
        f"/v1/collections/{field}/documents/{field.upper()}",
    ]
    address = f"http://{stage.system.addresses.http}"
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=20) as http:
        answers = [await http.post(path, json=body) for path, body in bodies]
        answers += [await http.get(path) for path in gets]
        broken = {"content-type": "application/json"}
        text = f'{{"text": "{words["question"]}'
        answers.append(await http.post(ask, content=text, headers=broken))
        answers.append(await http.post(ask, content=text, headers={"content-type": field}))
        answers.append(await http.post(ask, json={}, headers={"idempotency-key": field}))
        answers.append(await http.post(ask, headers={"authorization": f"Basic {words['token']}"}))
    for number, answer in enumerate(answers):
        assert 400 <= answer.status_code < 500, answer.text
        stage.tell(f"HTTP {number}: {answer.request.method}", f"{answer.headers} {answer.text}")


async def models_echo_their_prompt(stage: Stage, client: AsyncClient, models: ModelServer) -> None:
    models.behave(refuse_status=400, echo=True)
    question = f"When does the weir open, {stage.words['question']}?"
    with pytest.raises(QueryFailed) as failed:
        await client.ask(question).answer()
    stage.tell("a refusing model", failed.value)
    other = stage.document(text=f"Another weir opens at {stage.words['body']}.")
    receipt = await client.ingest("plant", "weir-2", **other)  # type: ignore[arg-type]
    with pytest.raises(DocumentFailed) as unread:
        await client.wait_indexed(receipt.name, receipt.etag)
    stage.tell("a refusing embedding", unread.value)
    models.behave()


async def documents_cannot_be_read(stage: Stage, client: AsyncClient) -> None:
    word = stage.words["body"].encode()
    pdf = pdf_of([["The weir."]])
    broken = {
        "no PDF": (b"%PDF-1.7\n" + word, "application/pdf"),
        "half a PDF": (pdf[:200] + word, "application/pdf"),
        "odd names in a PDF": (pdf.replace(b"/Font", b"/" + word), "application/pdf"),
        "no text": (b"\xff\xfe" + word, "text/plain"),
        "no markup": (b"<script>" + word + b"</script>", "text/html"),
    }
    for name, (raw, kind) in broken.items():
        fields = stage.document(raw=raw, mime_type=kind, text=None)
        receipt = await client.ingest("plant", "broken", **fields)  # type: ignore[arg-type]
        try:
            await client.wait_indexed(receipt.name, receipt.etag)
        except DocumentFailed as failed:
            stage.tell(name, failed)


def records_are_poison(stage: Stage, probe: LogProbe, query: str) -> None:
    """Records without an envelope, with a broken one, and that are none at all."""
    producer = confluent_kafka.Producer(login(stage.system))
    word = "/".join(stage.words.values()).encode()
    poisoned: list[type[Message]] = [DocumentRecord, ChunkSet, QueryRecord]
    for record in poisoned:
        for headers in ([], [("forebay-identity", word)], [(word.decode(), word)]):
            topic = topic_of(record).name
            producer.produce(topic, value=word, key=b"poison/" + word, headers=headers)
    producer.produce(topic_of(AnswerRecord).name, value=word, key=query.encode())
    producer.flush(10)
    for _ in range(3 * len(poisoned)):
        letter = probe.letter_of("poison/")
        stage.tell(f"the letter of {letter.topic} {letter.partition}/{letter.offset}", letter.error)


def postgres_refuses_a_row(stage: Stage) -> None:
    """A row that breaks a rule of its table: what the driver says of it quotes the row."""
    write = stage.system.programs["indexing"].program.env["FOREBAY_POSTGRES_WRITE_DSN"]
    word = stage.words["body"]
    with psycopg.connect(write) as connection, pytest.raises(psycopg.errors.CheckViolation) as said:
        connection.execute(
            "INSERT INTO forebay.indexes (id, embedding_model, dimensions, chunking, state) "
            "VALUES (%s, %s, 1, %s, 'BUILDING')",
            (f"NOT {word}", word, word),
        )
    assert word in str(said.value)
