import asyncio
from itertools import count
from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status

from forebay.client import (
    FailedPrecondition,
    InvalidArgument,
    QueryCancelled,
    QueryFailed,
    RetryPolicy,
    Unauthenticated,
)
from forebay.errors.v1 import ErrorReason
from forebay.query.v1 import AnswerEvent, Citation, Span, Usage

from .driver import Driver
from .events import COMPLETED, WHOLE, Q, accepted, completed, delta, heartbeat
from .peer import Peer, play, refuse, status


def texts(events: list[AnswerEvent]) -> list[str]:
    return [event.delta.text for event in events if event.WhichOneof("event") == "delta"]


def kinds(events: list[AnswerEvent]) -> list[str | None]:
    return [event.WhichOneof("event") for event in events]


EXPIRED = status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")
DRAINING = status(grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", retry_after=0.01)
TOO_SLOW = status(grpc.StatusCode.RESOURCE_EXHAUSTED, "READER_TOO_SLOW")


async def test_an_answer_is_collected_from_its_events(peer: Peer, driver: Driver) -> None:
    citation = AnswerEvent(
        query=Q,
        cursor="c-a1-3",
        attempt="a1",
        sequence=3,
        citation=Citation(passage=0, span=Span(start=0, end=12)),
    )
    usage = AnswerEvent(
        query=Q, cursor="c-a1-4", attempt="a1", sequence=4, usage=Usage(model="m", output_tokens=2)
    )
    peer.on("Ask", play(*WHOLE[:4], citation, usage, WHOLE[4]))

    answer = await driver.answer("why?", collections=["default"], top_k=3, timeout=7.5)

    assert answer.text == "Water falls."
    assert answer.query == Q
    assert [passage.text for passage in answer.passages] == ["water falls"]
    assert [cited.span.end for cited in answer.citations] == [12]
    assert answer.usage.output_tokens == 2
    assert answer.finish_reason == COMPLETED.FINISH_REASON_STOP
    question = peer.requests("Ask")[0].query
    assert question.collections == ["collections/default"]
    assert question.top_k == 3
    assert question.timeout.ToMilliseconds() == 7500


async def test_a_question_carries_a_uuid_of_version_7(peer: Peer, driver: Driver) -> None:
    peer.on("Ask", play(*WHOLE))
    await driver.answer("why?")
    assert peer.requests("Ask")[0].query.request_id[14] == "7"


async def test_heartbeats_are_not_shown(peer: Peer, driver: Driver) -> None:
    peer.on("Ask", play(heartbeat(), accepted(), heartbeat(), *WHOLE[1:]))
    assert kinds(await driver.collect("ask", "why?")) == kinds(list(WHOLE))


@pytest.mark.parametrize(
    "end", [None, DRAINING, TOO_SLOW, EXPIRED], ids=["broken", "draining", "too slow", "expired"]
)
@pytest.mark.parametrize("after", [1, 2, 3, 4])
async def test_a_stream_resumes_behind_its_last_event(
    peer: Peer, driver: Driver, end: Status | None, after: int
) -> None:
    peer.on("Ask", play(*WHOLE[:after], end))
    peer.on("StreamAnswer", play(*WHOLE[after:]))

    assert await driver.collect("ask", "why?") == list(WHOLE)

    resumed = peer.requests("StreamAnswer")
    assert [(each.name, each.after_cursor) for each in resumed] == [(Q, WHOLE[after - 1].cursor)]


async def test_a_stream_that_ends_well_without_an_end_of_the_answer_is_resumed(
    peer: Peer, driver: Driver
) -> None:
    peer.on("Ask", play(*WHOLE[:2]))
    peer.on("StreamAnswer", play(WHOLE[2]), play(*WHOLE[3:]))
    assert await driver.collect("ask", "why?") == list(WHOLE)


async def test_before_the_first_event_the_same_request_is_asked_again(
    peer: Peer, driver: Driver
) -> None:
    peer.on("Ask", play(None), play(DRAINING), play(heartbeat(), None), play(*WHOLE))

    assert await driver.collect("ask", "why?") == list(WHOLE)

    asked = [request.query.request_id for request in peer.requests("Ask")]
    assert len(asked) == 4
    assert len(set(asked)) == 1


async def test_events_that_come_again_after_a_resumption_are_dropped(
    peer: Peer, driver: Driver
) -> None:
    peer.on("Ask", play(*WHOLE[:3], None))
    peer.on("StreamAnswer", play(*WHOLE))
    assert await driver.collect("ask", "why?") == list(WHOLE)


async def test_an_attempt_that_begins_anew_is_not_taken_for_a_repetition(
    peer: Peer, driver: Driver
) -> None:
    restarted = AnswerEvent(query=Q, cursor="c-r", restarted=AnswerEvent.Restarted(reason="lost"))
    anew = (restarted, delta(1, "It ", "a2"), delta(2, "rains.", "a2"))
    peer.on("Ask", play(*WHOLE[:4], *anew[:1], None))
    peer.on("StreamAnswer", play(*anew, completed("It rains.")))

    events = await driver.collect("ask", "why?")

    assert texts(events) == ["Water ", "falls.", "It ", "rains."]
    assert kinds(events).count("restarted") == 1


async def test_each_new_beginning_of_an_answer_is_told(peer: Peer, driver: Driver) -> None:
    first, second = (
        AnswerEvent(query=Q, cursor=cursor, restarted=AnswerEvent.Restarted(reason="lost"))
        for cursor in ("c-r1", "c-r2")
    )
    peer.on("Ask", play(*WHOLE[:3], first, second, completed("It rains.")))
    assert kinds(await driver.collect("ask", "why?")).count("restarted") == 2


async def test_every_stream_carries_the_token_of_its_time(
    peer: Peer, driver_class: type[Driver]
) -> None:
    numbers = count(1)
    driver = driver_class(peer.target, lambda: f"token-{next(numbers)}")
    peer.on("Ask", play(*WHOLE[:2], EXPIRED))
    peer.on("StreamAnswer", play(WHOLE[2], EXPIRED), play(*WHOLE[3:]))
    try:
        assert await driver.collect("ask", "why?") == list(WHOLE)
    finally:
        await driver.close()
    assert [call.token for call in peer.calls] == ["token-1", "token-2", "token-3"]


async def test_a_token_that_stays_expired_is_an_error(peer: Peer, driver: Driver) -> None:
    peer.on("Ask", play(accepted(), EXPIRED))
    peer.on("StreamAnswer", play(EXPIRED))
    with pytest.raises(Unauthenticated) as caught:
        await driver.collect("ask", "why?")
    assert caught.value.reason == ErrorReason.ERROR_REASON_TOKEN_EXPIRED
    assert len(peer.requests("StreamAnswer")) == 1


async def test_a_refused_question_is_asked_once(peer: Peer, driver: Driver) -> None:
    refusal = status(
        grpc.StatusCode.INVALID_ARGUMENT,
        "FIELD_INVALID",
        violations=(("query.text", "string.min_len"),),
    )
    peer.on("Ask", refuse(refusal))
    with pytest.raises(InvalidArgument) as caught:
        await driver.answer("")
    assert caught.value.violations[0].field == "query.text"
    assert caught.value.violations[0].rule == "string.min_len"
    assert len(peer.calls) == 1


async def test_a_query_without_an_answer_raises_its_reason(peer: Peer, driver: Driver) -> None:
    error = status(grpc.StatusCode.UNAVAILABLE, "MODEL_UNAVAILABLE", "the model is away")
    failed = AnswerEvent(query=Q, cursor="c-f", failed=AnswerEvent.Failed(error=error))
    peer.on("Ask", play(accepted(), failed))
    with pytest.raises(QueryFailed, match="the model is away") as caught:
        await driver.answer("why?")
    assert caught.value.query == Q
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert caught.value.reason == ErrorReason.ERROR_REASON_MODEL_UNAVAILABLE


async def test_a_cancelled_query_raises_that(peer: Peer, driver: Driver) -> None:
    event = AnswerEvent(query=Q, cursor="c-x", cancelled=AnswerEvent.Cancelled())
    peer.on("Ask", play(accepted(), event))
    with pytest.raises(QueryCancelled):
        await driver.answer("why?")


async def test_a_query_is_followed_from_a_cursor(peer: Peer, driver: Driver) -> None:
    peer.on("StreamAnswer", play(*WHOLE[3:]))
    events = await driver.collect("follow", Q, "c-a1-1")
    assert events == list(WHOLE[3:])
    assert peer.requests("StreamAnswer")[0].after_cursor == "c-a1-1"


async def test_a_closed_stream_ends_its_call_and_cancels_nothing(
    peer: Peer, driver: Driver
) -> None:
    left = asyncio.Event()

    async def hang(_request: Any, context: Any) -> None:
        context.add_done_callback(lambda _: left.set())
        await context.write(accepted())
        await asyncio.Event().wait()

    peer.on("Ask", hang)
    assert await driver.first("ask", "why?") == accepted()
    await left.wait()
    assert [call.method for call in peer.calls] == ["Ask"]


async def test_a_clock_that_is_off_is_corrected_from_the_refusal(
    peer: Peer, driver: Driver
) -> None:
    refusal = status(
        grpc.StatusCode.INVALID_ARGUMENT,
        "REQUEST_ID_OUT_OF_WINDOW",
        server_time="2031-05-06T07:08:09.123Z",
    )
    peer.on("Ask", refuse(refusal), play(*WHOLE))

    assert (await driver.answer("why?")).text == "Water falls."

    first, second = (request.query.request_id for request in peer.requests("Ask"))
    milliseconds = int(second.replace("-", "")[:12], 16)
    assert first != second
    assert 0 <= milliseconds - 1_935_817_689_123 < 5_000


async def test_a_stream_that_ends_well_with_nothing_in_the_middle_of_an_answer_is_resumed(
    peer: Peer, driver: Driver
) -> None:
    peer.on("Ask", play(*WHOLE[:2]))
    peer.on("StreamAnswer", play(), play(), play(*WHOLE[2:]))
    assert await driver.collect("ask", "why?") == list(WHOLE)


async def test_behind_the_end_of_an_answer_there_is_nothing(peer: Peer, driver: Driver) -> None:
    peer.on("StreamAnswer", play())
    assert await driver.collect("follow", Q, WHOLE[-1].cursor) == []
    assert len(peer.calls) == 1


async def test_an_answer_behind_its_end_is_an_error_that_says_what_to_do(
    peer: Peer, driver: Driver
) -> None:
    peer.on("StreamAnswer", play())
    with pytest.raises(FailedPrecondition, match="follow the query from its beginning"):
        await driver.followed(Q, WHOLE[-1].cursor)


async def test_a_model_that_thinks_longer_than_the_patience_costs_no_answer(
    peer: Peer, driver_class: type[Driver]
) -> None:
    silence = asyncio.Event()
    patience = 0.2
    driver = driver_class(peer.target, retry=RetryPolicy(0.005, 0.05, patience))
    peer.on("Ask", play(*WHOLE[:2], silence, None))
    peer.on("StreamAnswer", play(*WHOLE[2:]))
    asyncio.get_running_loop().call_later(2 * patience, silence.set)
    try:
        assert await driver.collect("ask", "why?") == list(WHOLE)
    finally:
        await driver.close()
