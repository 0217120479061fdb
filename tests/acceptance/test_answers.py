from collections.abc import Iterator

import pytest

from forebay.client import AsyncClient, NotFound, QueryCancelled
from forebay.policy.v1 import Visibility
from forebay.query.v1 import AnswerEvent, Query, SubmitQueryRequest
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.system import System

from .conftest import Connect
from .log import LogProbe, log_probe

TEXT = """# Turbines

## Maintenance

The runner of turbine two is inspected every eight weeks by two fitters.

## Output

Turbine two delivers nine megawatts at full load.
"""
QUESTION = "How often is the runner of turbine two inspected?"


@pytest.fixture
def probe(system: System) -> Iterator[LogProbe]:
    with log_probe(system) as opened:
        yield opened


async def indexed(client: AsyncClient, document_id: str, text: str, **fields: object) -> str:
    receipt = await client.ingest("plant", document_id, text=text, **fields)  # type: ignore[arg-type]
    return (await client.wait_indexed(receipt.name, receipt.etag)).name


async def events_of(client: AsyncClient, text: str, **options: object) -> list[AnswerEvent]:
    return [event async for event in client.ask(text, **options)]  # type: ignore[arg-type]


async def test_an_answer_streams_with_its_passages_and_citations(
    connect: Connect, models: ModelServer
) -> None:
    client = connect()
    name = await indexed(client, "turbines", TEXT, mime_type="text/markdown", visibility="public")
    events = await events_of(client, QUESTION)
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[0] == "accepted"
    assert kinds[1] == "retrieved"
    assert kinds[-1] == "completed"
    assert "citation" in kinds
    assert "restarted" not in kinds
    passages = next(e.retrieved.passages for e in events if e.HasField("retrieved"))
    assert passages[0].document == name
    deltas = "".join(e.delta.text for e in events if e.HasField("delta"))
    assert deltas == events[-1].completed.answer
    assert "every eight weeks" in deltas


async def test_passages_carry_headings_and_spans_that_reproduce_the_text(
    connect: Connect, models: ModelServer
) -> None:
    client = connect()
    await indexed(client, "turbines", "One fact. Two facts.\n\nThree facts about weirs.")
    answer = await client.ask("What about weirs?").answer()
    (passage,) = answer.passages
    extracted = "One fact. Two facts.\n\nThree facts about weirs."
    assert extracted.encode()[passage.span.start : passage.span.end].decode() == passage.text


async def test_get_query_tells_what_the_stream_told(connect: Connect, models: ModelServer) -> None:
    client = connect()
    await indexed(client, "turbines", TEXT, mime_type="text/markdown")
    answer = await client.ask(QUESTION).answer()
    query = await client.get_query(answer.query)
    assert query.state == Query.STATE_COMPLETED
    assert query.answer == answer.text
    assert tuple(query.passages) == answer.passages
    assert tuple(query.citations) == answer.citations
    assert query.text == QUESTION


async def test_passages_alone_cost_no_model_call(connect: Connect, models: ModelServer) -> None:
    client = connect()
    await indexed(client, "turbines", TEXT, mime_type="text/markdown")
    models.forget_calls()
    answer = await client.ask(QUESTION, mode=SubmitQueryRequest.MODE_RETRIEVE_ONLY).answer()
    assert answer.passages
    assert answer.finish_reason == AnswerEvent.Completed.FINISH_REASON_RETRIEVED
    assert models.calls()["chat"] == 0


async def test_an_answer_is_charged_to_its_tenant_once(
    connect: Connect, models: ModelServer, probe: LogProbe, tenant: str
) -> None:
    client = connect()
    await indexed(client, "turbines", TEXT)
    answer = await client.ask(QUESTION).answer()
    await client.ask(QUESTION, mode=SubmitQueryRequest.MODE_RETRIEVE_ONLY).answer()
    [charged] = probe.usage_of(tenant)
    assert charged.name == answer.query
    assert charged.usage == answer.usage
    assert charged.usage.output_tokens > 0


async def test_each_tier_is_answered_by_its_own_model(
    connect: Connect, models: ModelServer
) -> None:
    await indexed(connect(), "turbines", TEXT, visibility="public")
    for tier, model in (("free", "small"), ("standard", "medium"), ("enterprise", "large")):
        models.forget_calls()
        await connect(tier).ask(QUESTION).answer()
        asked = [call["model"] for call in models.calls()["calls"] if call["kind"] == "chat"]
        assert asked == [model]


async def test_a_tier_finds_only_what_it_is_cleared_for(
    connect: Connect, models: ModelServer
) -> None:
    author = connect()
    for visibility in ("public", "internal", "confidential"):
        await indexed(author, visibility, f"The {visibility} gate code.", visibility=visibility)
    for tier, clearance in (
        ("free", Visibility.VISIBILITY_PUBLIC),
        ("standard", Visibility.VISIBILITY_INTERNAL),
        ("enterprise", Visibility.VISIBILITY_CONFIDENTIAL),
    ):
        answer = await connect(tier).ask("What is the gate code?").answer()
        assert {p.visibility for p in answer.passages} == set(range(1, clearance + 1))


async def test_a_collection_and_labels_narrow_a_question(
    connect: Connect, models: ModelServer
) -> None:
    client = connect()
    await indexed(client, "north", "The north weir is old.", labels={"site": "north"})
    await indexed(client, "south", "The south weir is new.", labels={"site": "south"})
    answer = await client.ask("Which weir is old?", filter={"site": "south"}).answer()
    assert [p.document for p in answer.passages] == ["collections/plant/documents/south"]
    elsewhere = await client.ask("Which weir is old?", collections=["elsewhere"]).answer()
    assert elsewhere.passages == ()


async def test_a_cancelled_query_ends_and_stops_the_model(
    connect: Connect, models: ModelServer
) -> None:
    client = connect()
    await indexed(client, "turbines", TEXT)
    models.behave(first_token_seconds=30)
    stream = client.ask(QUESTION)
    async for event in stream:
        if event.HasField("retrieved"):
            break
    cancelled = await client.cancel_query(stream.query)
    assert cancelled.state == Query.STATE_CANCELLED
    with pytest.raises(QueryCancelled):
        await stream.answer()


async def test_cancelling_a_completed_query_changes_nothing(
    connect: Connect, models: ModelServer
) -> None:
    client = connect()
    await indexed(client, "turbines", TEXT)
    answer = await client.ask(QUESTION).answer()
    assert (await client.cancel_query(answer.query)).state == Query.STATE_COMPLETED
    assert (await client.get_query(answer.query)).state == Query.STATE_COMPLETED


async def test_names_of_others_made_up_and_truncated_are_not_found_alike(
    connect: Connect, models: ModelServer
) -> None:
    client = connect()
    query = await client.submit(QUESTION)
    assert (await client.get_query(query.name)).name == query.name
    wrong = [
        (connect(subject="somebody-else"), query.name),
        (connect(tenant="t-other"), query.name),
        (client, query.name[:-1]),
        (client, "queries/" + "0" * 61),
        (client, "queries/nonsense"),
        (client, f"queries/{query.name.removeprefix('queries/').upper()}"),
    ]
    said = set()
    for asker, name in wrong:
        for call in (asker.get_query(name), asker.cancel_query(name), asker.follow(name).answer()):
            with pytest.raises(NotFound) as refused:
                await call
            said.add((refused.value.reason, str(refused.value)))
    assert len(said) == 1


async def test_an_answer_can_be_joined_from_its_beginning_and_by_a_renewed_token(
    connect: Connect, models: ModelServer, other_edge: str
) -> None:
    client = connect()
    await indexed(client, "turbines", TEXT)
    first = await events_of(client, QUESTION)
    again = [event async for event in connect(at=other_edge).follow(first[0].query)]
    assert again == first


async def test_a_stream_resumes_behind_every_cursor_on_another_edge(
    connect: Connect, models: ModelServer, other_edge: str
) -> None:
    client, other = connect(), connect(at=other_edge)
    await indexed(client, "turbines", TEXT)
    models.behave(answer_tokens=40, tokens_per_second=200)
    events = await events_of(client, QUESTION)
    for position, event in enumerate(events[:-1]):
        rest = [e async for e in other.follow(event.query, event.cursor)]
        assert rest == events[position + 1 :]
    assert [e async for e in other.follow(events[0].query, events[-1].cursor)] == []
