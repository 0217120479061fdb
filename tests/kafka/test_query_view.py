"""A query as its events tell it."""

from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.status_pb2 import Status

from forebay.query.v1 import AnswerEvent, Citation, Passage, Query, Usage
from forebay_kafka.query_view import query_of

NAME = "queries/abc"
ACCEPTED = AnswerEvent(
    time=Timestamp(seconds=10),
    accepted=AnswerEvent.Accepted(text="How deep?", expire_time=Timestamp(seconds=70)),
)
RETRIEVED = AnswerEvent(retrieved=AnswerEvent.Retrieved(passages=[Passage(text="Deep.")]))
WORDS = [AnswerEvent(delta=AnswerEvent.Delta(text=word)) for word in ("Very ", "deep.")]
CITED = AnswerEvent(citation=Citation(passage=0))
COST = AnswerEvent(usage=Usage(output_tokens=2))
COMPLETED = AnswerEvent(completed=AnswerEvent.Completed(answer="Very deep."))
WHOLE = [ACCEPTED, RETRIEVED, *WORDS, CITED, COST, COMPLETED]


def test_a_query_goes_through_its_states() -> None:
    states = [query_of(NAME, WHOLE[:count]).state for count in range(len(WHOLE) + 1)]
    assert states[:2] == [Query.STATE_QUEUED] * 2
    assert states[2:-1] == [Query.STATE_GENERATING] * 5
    assert states[-1] == Query.STATE_COMPLETED


def test_a_whole_query_holds_everything_that_its_events_said() -> None:
    query = query_of(NAME, WHOLE)
    assert query.name == NAME
    assert query.text == "How deep?"
    assert query.answer == "Very deep."
    assert query.passages == [Passage(text="Deep.")]
    assert query.citations == [Citation(passage=0)]
    assert query.usage == Usage(output_tokens=2)
    assert (query.create_time.seconds, query.expire_time.seconds) == (10, 70)
    assert not query.HasField("error")


def test_a_restart_forgets_the_attempt_before_and_keeps_the_question() -> None:
    again = AnswerEvent(restarted=AnswerEvent.Restarted(reason="a worker was lost"))
    query = query_of(NAME, [*WHOLE[:-1], again])
    assert query.state == Query.STATE_RETRIEVING
    assert query.text == "How deep?"
    assert (query.answer, list(query.passages), list(query.citations)) == ("", [], [])
    assert not query.HasField("usage")
    assert query_of(NAME, [*WHOLE[:-1], again, *WHOLE[1:]]).answer == "Very deep."


def test_a_failure_says_why() -> None:
    failed = AnswerEvent(failed=AnswerEvent.Failed(error=Status(code=14, message="no model")))
    query = query_of(NAME, [ACCEPTED, failed])
    assert query.state == Query.STATE_FAILED
    assert query.error.message == "no model"


def test_a_cancelled_query_keeps_what_was_written() -> None:
    query = query_of(NAME, [*WHOLE[:4], AnswerEvent(cancelled=AnswerEvent.Cancelled())])
    assert query.state == Query.STATE_CANCELLED
    assert query.answer == "Very deep."


def test_the_etag_changes_with_every_event_that_changes_the_query() -> None:
    etags = [query_of(NAME, WHOLE[:count]).etag for count in range(len(WHOLE) + 1)]
    assert len(set(etags)) == len(etags)
    assert query_of(NAME, WHOLE).etag == etags[-1]
