"""Whatever became of an answer, readers see the same from every cursor on."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.query.v1 import AnswerEvent, Query
from forebay_server.answers.delivery import Reading
from forebay_server.answers.errors import QueryExpired
from forebay_server.answers.lifetime import GONE_SECONDS

from ..kafka.interleavings import CANCELLED, answer_logs  # noqa: TID252 tests are no package
from .test_answer_delivery import (
    ASKED_AT,
    CALLER,
    CURSORS,
    NAME,
    Hands,
    WrittenLog,
    delivery,
    logged,
)

READING = Reading(replace(CALLER, expire_time=ASKED_AT * 10), NAME, int(ASKED_AT * 1000))
# Past every deadline, while the log is there: a reader of what has no end is told so at once.
LATE = Hands(ASKED_AT + GONE_SECONDS - 1)


async def read(log: list[AnswerEvent], after: int = -1) -> list[AnswerEvent]:
    """What a reader is shown, up to the end or to where there is none."""
    seen: list[AnswerEvent] = []
    try:
        async for event in delivery(WrittenLog(logged(log)), LATE).events(READING, after):
            seen.append(event)  # noqa: PERF401 a comprehension would lose them
    except QueryExpired:
        pass
    return seen


def named(log: list[AnswerEvent]) -> list[AnswerEvent]:
    copies = [AnswerEvent.FromString(event.SerializeToString()) for event in log]
    for copy in copies:
        copy.query = NAME
    return copies


@settings(max_examples=60, deadline=None)
@given(answer_logs())
def test_a_reader_that_resumes_anywhere_sees_what_one_from_the_start_sees(
    log: list[AnswerEvent],
) -> None:
    async def check() -> None:
        whole = await read(named(log))
        assert whole, "every log holds its acceptance"
        for index, event in enumerate(whole):
            after = CURSORS.offset(NAME, event.cursor)
            assert await read(named(log), after) == whole[index + 1 :]

    asyncio.run(check())


@settings(max_examples=60, deadline=None)
@given(answer_logs(), st.data())
def test_a_reader_that_follows_sees_what_one_that_comes_later_sees(
    log: list[AnswerEvent], data: st.DataObject
) -> None:
    records = logged(named([*log, CANCELLED]))
    already = data.draw(st.integers(1, len(records)))

    async def check() -> None:
        live = WrittenLog(records[:already])
        events = delivery(live, LATE).events(READING, accepted=True)
        for record in records[already:]:
            live.follower.push(record)
        followed = [event async for event in events]
        late = [e async for e in delivery(WrittenLog(records), LATE).events(READING)]
        assert followed == late

    asyncio.run(check())


@settings(max_examples=60, deadline=None)
@given(answer_logs())
def test_the_query_ends_as_its_readers_saw(log: list[AnswerEvent]) -> None:
    async def check() -> None:
        seen = await read(named([*log, CANCELLED]))
        records = logged(named([*log, CANCELLED]))
        query = await delivery(WrittenLog(records), LATE).query(READING)
        ends = {
            "completed": Query.STATE_COMPLETED,
            "failed": Query.STATE_FAILED,
            "cancelled": Query.STATE_CANCELLED,
        }
        assert query.state == ends[str(seen[-1].WhichOneof("event"))]

    asyncio.run(check())


@pytest.mark.parametrize("after", [-1, 100])
async def test_a_log_without_an_end_is_read_to_where_it_stops(after: int) -> None:
    [accepted, *_] = named([AnswerEvent(accepted=AnswerEvent.Accepted(text="How?"))])
    assert len(await read([accepted], after)) == (after == -1)
