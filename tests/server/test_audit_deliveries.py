"""Which passages of an answer reached whom is told to the audit, however they got there."""

from collections.abc import AsyncIterator

import grpc.aio
import pytest

from forebay.policy.v1 import Visibility
from forebay.query.v1 import (
    AnswerEvent,
    AskRequest,
    CancelQueryRequest,
    GetQueryRequest,
    Passage,
    QueryServiceStub,
    StreamAnswerRequest,
    SubmitQueryRequest,
)
from forebay.records.v1 import AuditRecord
from forebay_kafka.publisher import Publisher
from forebay_kafka.settings import KafkaSettings
from forebay_server.audit.disclosure import Disclosure

from .answering import Attempt, token_of
from .audited import AuditReader
from .calls import bearer
from .conftest import Installation
from .log import LogReader

WEIR, GATE = "collections/plant/documents/weir", "collections/plant/documents/gate"
SEEN = [(WEIR, 3, Visibility.VISIBILITY_INTERNAL), (GATE, 0, Visibility.VISIBILITY_PUBLIC)]
Metadata = tuple[tuple[str, str], ...]


def retrieved(*passages: tuple[str, int, Visibility.ValueType]) -> AnswerEvent:
    event = AnswerEvent()
    for document, ordinal, visibility in passages:
        event.retrieved.passages.append(
            Passage(document=document, ordinal=ordinal, visibility=visibility, text="secret")
        )
    return event


def passages(delivery: AuditRecord.Delivery) -> list[tuple[str, int, Visibility.ValueType]]:
    return [(each.document, each.ordinal, each.visibility) for each in delivery.passages]


@pytest.fixture
def metadata(installation: Installation) -> Metadata:
    return bearer(installation.token())


@pytest.fixture
async def stub(channel: grpc.aio.Channel) -> QueryServiceStub:
    return QueryServiceStub(channel)


@pytest.fixture
async def publisher(kafka: KafkaSettings) -> AsyncIterator[Publisher]:
    async with Publisher(kafka) as opened:
        yield opened


@pytest.fixture
async def asked(
    stub: QueryServiceStub, metadata: Metadata, publisher: Publisher, log: LogReader
) -> str:
    """The name of a question with a whole answer in the log."""
    query = await stub.SubmitQuery(SubmitQueryRequest(text="How deep?"), metadata=metadata)
    attempt = Attempt(publisher, query.name, token_of(log, query.name))
    await attempt.open()
    await attempt.write(retrieved(*SEEN))
    await attempt.delta("Nine ")
    await attempt.complete("Nine metres.")
    return query.name


@pytest.fixture
def audit(log: LogReader, installation: Installation) -> AuditReader:
    return AuditReader(log, installation)


async def test_a_stream_tells_its_passages_its_query_and_its_end(
    asked: str, stub: QueryServiceStub, metadata: Metadata, audit: AuditReader
) -> None:
    request = StreamAnswerRequest(name=asked)
    events = [each async for each in stub.StreamAnswer(request, metadata=metadata)]
    behind = StreamAnswerRequest(name=asked, after_cursor=events[-2].cursor)
    assert len([each async for each in stub.StreamAnswer(behind, metadata=metadata)]) == 1

    whole, resumed = await audit.told(2)
    assert whole.exit == resumed.exit == ("StreamAnswer", "ALLOWED", "UNSPECIFIED")
    assert whole.record.resource == resumed.record.resource == asked
    assert (whole.who.tenant, whole.who.subject) == ("acme", "ada")
    assert passages(whole.record.delivery) == SEEN
    # Its end rests on them, though they were shown to an earlier reading.
    assert passages(resumed.record.delivery) == SEEN
    assert (whole.record.delivery.events, resumed.record.delivery.events) == (4, 1)
    assert whole.record.delivery.end == resumed.record.delivery.end == "completed"
    assert not whole.record.delivery.HasField("after_offset")
    assert resumed.record.delivery.after_offset > 0


@pytest.mark.parametrize("way", ["GetQuery", "CancelQuery"])
async def test_a_query_as_a_whole_tells_its_passages(
    asked: str, stub: QueryServiceStub, metadata: Metadata, audit: AuditReader, way: str
) -> None:
    request = GetQueryRequest if way == "GetQuery" else CancelQueryRequest
    await getattr(stub, way)(request(name=asked), metadata=metadata)
    [told] = await audit.told(1)
    assert told.exit == (way, "ALLOWED", "UNSPECIFIED")
    assert told.record.resource == asked
    assert passages(told.record.delivery) == SEEN
    assert (told.record.delivery.events, told.record.delivery.end) == (0, "completed")


async def test_an_ask_tells_what_it_showed_beside_the_question_in_the_log(
    stub: QueryServiceStub,
    metadata: Metadata,
    publisher: Publisher,
    log: LogReader,
    audit: AuditReader,
) -> None:
    stream = stub.Ask(AskRequest(query=SubmitQueryRequest(text="How?")), metadata=metadata)
    events = aiter(stream)
    name = (await anext(events)).query
    attempt = Attempt(publisher, name, token_of(log, name))
    await attempt.open()
    await attempt.write(retrieved(*SEEN))
    await attempt.complete("So.")
    assert len([each async for each in events]) == 2
    [told] = await audit.told(1)
    assert told.exit == ("Ask", "ALLOWED", "UNSPECIFIED")
    assert told.record.resource == name
    assert passages(told.record.delivery) == SEEN


def test_passages_of_an_attempt_that_was_not_shown_are_not_told() -> None:
    disclosure = Disclosure()
    disclosure.resume(7)
    disclosure.take(retrieved(SEEN[0]))
    disclosure.take(AnswerEvent(restarted=AnswerEvent.Restarted()))
    again = retrieved(SEEN[1])
    disclosure.take(again)
    assert disclosure.message() is None
    disclosure.show(again)
    told = disclosure.message()
    assert told is not None
    assert passages(told) == [SEEN[1]]


def test_passages_of_an_attempt_that_was_shown_stay_told() -> None:
    disclosure = Disclosure()
    for event in (
        retrieved(SEEN[0]),
        AnswerEvent(restarted=AnswerEvent.Restarted()),
        retrieved(SEEN[1]),
    ):
        disclosure.take(event)
        disclosure.show(event)
    told = disclosure.message()
    assert told is not None
    assert passages(told) == SEEN
    assert told.events == 3
