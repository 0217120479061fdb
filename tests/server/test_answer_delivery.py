"""What a caller sees of an answer: its own, in order, however late, and while it may."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.rpc.code_pb2 import Code

from forebay.policy.v1 import Visibility
from forebay.query.v1 import AnswerEvent, Passage, Query
from forebay.records.v1 import AnswerRecord, QueryRecord
from forebay_kafka.envelope import EnvelopeSigner, EnvelopeVerifier, Statement
from forebay_kafka.envelope_keys import signing_keys, verification_keys
from forebay_kafka.identity import GenerationLimits, Grant
from forebay_kafka.records import Received, RecordReader, record_type
from forebay_kafka.topics import IDENTITY_HEADER, RECORD_TYPE_HEADER, topic_of
from forebay_server.answers.delivery import AnswerDelivery, Reading, RightsNow
from forebay_server.answers.errors import QueryExpired, QueryNotFound, ReaderTooSlow
from forebay_server.answers.follower import MAX_QUEUED, Follower
from forebay_server.answers.lifetime import GONE_SECONDS, LIFETIME_MS
from forebay_server.answers.reader import AnswerReader
from forebay_server.errors import (
    ClearanceTooLow,
    GroupMissing,
    ShareWithdrawn,
    TokenExpired,
    TokenInvalid,
)
from forebay_server.governance.caller import Caller, TierLimits
from forebay_server.governance.standing import Rights
from forebay_server.seals.cursors import Cursors
from forebay_server.seals.secrets import SealSecrets

from .keys import private_jwk, public_jwk

NAME = "queries/abc"
ASKED_AT = 1_700_000_000.0
DEADLINE = ASKED_AT + 60
KEY = Ed25519PrivateKey.generate()
SIGNER = EnvelopeSigner(signing_keys(json.dumps(private_jwk(KEY, "e1"))))
RECORDS = RecordReader(
    EnvelopeVerifier(verification_keys(json.dumps({"keys": [public_jwk(KEY, "e1")]})))
)
CURSORS = Cursors(SealSecrets(b"s" * 32))
CALLER = Caller(
    issuer="https://id.example",
    tenant="acme",
    subject="ada",
    tier="standard",
    clearance=Visibility.VISIBILITY_INTERNAL,
    groups=(),
    scopes=frozenset(),
    limits=TierLimits(10, GenerationLimits("", 100, 1_000)),
    expire_time=ASKED_AT + 100_000,
    policy_version="1",
)


def event(attempt: str = "", sequence: int = 0, **kind: Any) -> AnswerEvent:
    made = AnswerEvent(query=NAME, attempt=attempt, sequence=sequence, **kind)
    made.time.FromSeconds(int(ASKED_AT))
    return made


def accepted(deadline: float = DEADLINE) -> AnswerEvent:
    made = event(accepted=AnswerEvent.Accepted(text="How deep?"))
    made.accepted.expire_time.FromSeconds(int(deadline))
    return made


def passages(visibility: Visibility.ValueType) -> AnswerEvent:
    found = [Passage(text="Deep.", visibility=visibility)]
    return event("a", 2, retrieved=AnswerEvent.Retrieved(passages=found))


OPENED = event("a", 1, restarted=AnswerEvent.Restarted())
FOUND = passages(Visibility.VISIBILITY_INTERNAL)
DELTA = event("a", 3, delta=AnswerEvent.Delta(text="Deep."))
COMPLETED = event("a", 4, completed=AnswerEvent.Completed(answer="Deep."))
WHOLE = [accepted(), OPENED, FOUND, DELTA, COMPLETED]


def logged(
    events: Iterable[AnswerEvent], caller: Caller = CALLER, *, grants: tuple[Grant, ...] = ()
) -> list[Received]:
    """Records as the log would hold them, at offsets from 100 on."""
    cause = QueryRecord(name=NAME).SerializeToString()
    statement = Statement(NAME, grants=grants)
    token = SIGNER.seal(caller.identity(), record_type(QueryRecord), cause, statement)
    headers = (
        (RECORD_TYPE_HEADER, record_type(AnswerRecord).encode()),
        (IDENTITY_HEADER, token),
    )
    topic = topic_of(AnswerRecord).name
    return [
        Received(
            topic, 0, offset, int(ASKED_AT * 1000), NAME.encode(),
            AnswerRecord(event=each).SerializeToString(), headers,
        )
        for offset, each in enumerate(events, start=100)
    ]  # fmt: skip


class WrittenLog:
    """An AnswerReader whose log is a list; what is pushed comes after it.

    `behind` is in the log too, but has not reached the follower yet.
    """

    def __init__(
        self, records: Sequence[Received] = (), *, behind: Sequence[Received] = ()
    ) -> None:
        self.records = list(records)
        self.follower = Follower()
        self._behind = list(behind)

    @asynccontextmanager
    async def following(self, name: str, time_ms: int) -> AsyncIterator[Follower]:
        assert (name, time_ms) == (NAME, int(ASKED_AT * 1000))
        self.follower.begin_with(self.records)
        yield self.follower

    async def snapshot(self, name: str, time_ms: int, *, up_to: int = 0) -> Sequence[Received]:
        assert (name, time_ms) == (NAME, int(ASKED_AT * 1000))
        return (*self.records, *self._behind)

    async def catch_up(self, name: str) -> None:
        assert name == NAME
        for each in self._behind:
            self.follower.push(each)
        self._behind.clear()


class Hands:
    """A clock that is set by hand."""

    def __init__(self, now: float = ASKED_AT) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


READING = Reading(CALLER, NAME, int(ASKED_AT * 1000))


def delivery(
    log: WrittenLog,
    clock: Hands | None = None,
    rights: RightsNow = lambda caller: Rights(caller.clearance),
) -> AnswerDelivery:
    return AnswerDelivery(
        cast("AnswerReader", log),
        RECORDS,
        CURSORS,
        rights,
        clock or Hands(),
    )


async def kinds(log: WrittenLog, *, after: int = -1, clock: Hands | None = None) -> list[str]:
    events = delivery(log, clock).events(READING, after)
    return [str(each.WhichOneof("event")) async for each in events]


async def test_a_whole_answer_is_delivered_once_and_ends() -> None:
    shown = ["accepted", "retrieved", "delta", "completed"]
    assert await kinds(WrittenLog(logged(WHOLE))) == shown


async def test_every_cursor_leads_to_exactly_what_came_behind_it() -> None:
    log = logged(WHOLE)
    events = [each async for each in delivery(WrittenLog(log)).events(READING)]
    for index, each in enumerate(events):
        after = CURSORS.offset(NAME, each.cursor)
        rest = [other async for other in delivery(WrittenLog(log)).events(READING, after)]
        assert rest == events[index + 1 :]


@pytest.mark.parametrize("late", [59.0, 66.0, 3_600.0, 80_000.0])
async def test_a_finished_answer_is_delivered_however_late_its_reader_comes(late: float) -> None:
    log, clock = WrittenLog(logged(WHOLE)), Hands(ASKED_AT + late)
    assert (await kinds(log, clock=clock))[-1] == "completed"


async def test_what_the_log_may_still_hold_is_looked_for_and_nothing_older_than_that() -> None:
    log, clock = WrittenLog(logged(WHOLE)), Hands(ASKED_AT + GONE_SECONDS - 1)
    caller = replace(CALLER, expire_time=ASKED_AT + 2 * GONE_SECONDS)
    reading = Reading(caller, NAME, READING.time_ms)
    assert [each async for each in delivery(log, clock).events(reading)][-1].HasField("completed")
    assert (await delivery(log, clock).query(reading)).answer == "Deep."
    clock.now += 1
    with pytest.raises(QueryNotFound):
        await anext(delivery(log, clock).events(reading))
    with pytest.raises(QueryNotFound):
        await delivery(log, clock).query(reading)


async def test_a_query_past_its_deadline_without_an_end_ends_for_its_reader() -> None:
    log, clock = WrittenLog(logged(WHOLE[:-1])), Hands(DEADLINE + 6)
    events = delivery(log, clock).events(READING)
    seen = [(await anext(events)).WhichOneof("event") for _ in range(3)]
    assert seen == ["accepted", "retrieved", "delta"]
    with pytest.raises(QueryExpired):
        await anext(events)


async def test_a_live_reader_waits_for_the_worker_that_writes_the_failure() -> None:
    log, clock = WrittenLog(logged(WHOLE[:1])), Hands(DEADLINE + 4.9)
    events = delivery(log, clock).events(READING)
    assert (await anext(events)).HasField("accepted")
    log.follower.push(logged([event(failed=AnswerEvent.Failed())])[0])
    assert (await anext(events)).HasField("failed")


async def test_nothing_above_a_clearance_that_was_lowered_meanwhile_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("forebay_server.answers.delivery.STANDING_SECONDS", 0.01)
    standing = [Visibility.VISIBILITY_CONFIDENTIAL]
    log = WrittenLog(logged(WHOLE)[:3])
    events = delivery(log, rights=lambda _: Rights(standing[-1])).events(READING)
    seen = [(await anext(events)).WhichOneof("event") for _ in range(2)]
    assert seen == ["accepted", "retrieved"]
    standing.append(Visibility.VISIBILITY_PUBLIC)
    with pytest.raises(ClearanceTooLow):  # while nothing comes, and before anything could
        await anext(events)


GRANT = Grant("vendor-manuals", "vendor", "manuals")
OTHER_GRANTS = [
    (),
    (Grant("vendor-manuals", "vendor", "drafts"),),
    (Grant("vendor-manuals", "rival", "manuals"),),
    (Grant("manuals", "vendor", "manuals"),),
]


def found_in(collection: str) -> AnswerEvent:
    document = f"collections/{collection}/documents/weir"
    found = [Passage(text="Deep.", document=document, visibility=Visibility.VISIBILITY_PUBLIC)]
    return event("a", 2, retrieved=AnswerEvent.Retrieved(passages=found))


@pytest.mark.parametrize("left", OTHER_GRANTS)
async def test_an_answer_ends_once_what_it_rests_on_is_not_shared_any_more(
    monkeypatch: pytest.MonkeyPatch, left: tuple[Grant, ...]
) -> None:
    monkeypatch.setattr("forebay_server.answers.delivery.STANDING_SECONDS", 0.01)
    granted = [(GRANT,)]
    log = WrittenLog(logged([accepted(), OPENED, found_in("vendor-manuals")], grants=(GRANT,)))
    delivered = delivery(log, rights=lambda _: Rights(CALLER.clearance, granted[-1]))
    events = delivered.events(READING)
    seen = [(await anext(events)).WhichOneof("event") for _ in range(2)]
    assert seen == ["accepted", "retrieved"]
    assert (await delivered.query(READING)).passages
    granted.append(left)
    with pytest.raises(ShareWithdrawn):  # while nothing comes
        await anext(events)
    with pytest.raises(ShareWithdrawn):
        await anext(delivered.events(READING, after=102))
    with pytest.raises(ShareWithdrawn):
        await delivered.query(READING)


@pytest.mark.parametrize("groups", [(), ("cooks",), ("diver",)])
async def test_an_answer_for_groups_is_shown_to_none_who_has_left_them(
    groups: tuple[str, ...],
) -> None:
    found = [Passage(text="Deep.", groups=["divers", "rescue"])]
    retrieved = event("a", 2, retrieved=AnswerEvent.Retrieved(passages=found))
    log = WrittenLog(logged([accepted(), OPENED, retrieved, DELTA, COMPLETED]))
    member = delivery(log, rights=lambda _: Rights(CALLER.clearance, groups=("rescue",)))
    assert [each async for each in member.events(READING)][-1].HasField("completed")
    assert (await member.query(READING)).answer == "Deep."
    left = delivery(log, rights=lambda _: Rights(CALLER.clearance, groups=groups))
    with pytest.raises(GroupMissing):
        await anext(left.events(READING, after=102))
    with pytest.raises(GroupMissing):
        await left.query(READING)


async def test_an_answer_outlives_what_it_does_not_rest_on() -> None:
    events = [accepted(), OPENED, found_in("vendor-manuals-of-our-own"), DELTA, COMPLETED]
    assert (await kinds(WrittenLog(logged(events, grants=(GRANT,)))))[-1] == "completed"
    own = [accepted(), OPENED, found_in("vendor-manuals"), DELTA, COMPLETED]
    assert (await kinds(WrittenLog(logged(own))))[-1] == "completed"


async def test_a_stream_ends_once_its_caller_may_not_be_spoken_for_any_more() -> None:
    def gone(_: Caller) -> Rights:
        raise TokenInvalid("tenant")

    with pytest.raises(TokenInvalid):
        await anext(delivery(WrittenLog(logged(WHOLE)), rights=gone).events(READING))


async def test_events_of_the_past_and_of_now_join_without_a_seam() -> None:
    past, live = logged(WHOLE)[:3], logged(WHOLE)[3:]
    log = WrittenLog(past)
    events = delivery(log).events(READING)
    for each in live:
        log.follower.push(each)
    shown = [str(each.WhichOneof("event")) async for each in events]
    assert shown == ["accepted", "retrieved", "delta", "completed"]


async def test_an_answer_ends_for_a_caller_whose_token_has_ended() -> None:
    log, clock = WrittenLog(logged(WHOLE)), Hands()
    events = delivery(log, clock).events(READING)
    await anext(events)
    clock.now = CALLER.expire_time
    with pytest.raises(TokenExpired):
        await anext(events)


async def test_a_passage_above_todays_clearance_is_not_delivered() -> None:
    hidden = [accepted(), OPENED, passages(Visibility.VISIBILITY_CONFIDENTIAL), DELTA, COMPLETED]
    log = WrittenLog(logged(hidden))
    with pytest.raises(ClearanceTooLow):
        await kinds(log)
    with pytest.raises(ClearanceTooLow):
        await kinds(log, after=103)
    with pytest.raises(ClearanceTooLow):
        await delivery(log).query(READING)


@pytest.mark.parametrize("field", ["issuer", "tenant", "subject"])
async def test_records_that_somebody_else_caused_are_passed_over(field: str) -> None:
    evil = replace(CALLER, **{field: "evil"})
    cancel = event(cancelled=AnswerEvent.Cancelled())
    log = WrittenLog([*logged([cancel], evil), *logged(WHOLE)])
    assert (await kinds(log))[-1] == "completed"


async def test_poison_between_the_records_is_passed_over() -> None:
    records = logged(WHOLE)
    poison = [replace(records[3], headers=()), replace(records[3], value=b"\xff")]
    log = WrittenLog([records[0], *poison, *records[1:]])
    assert (await kinds(log))[-1] == "completed"


async def test_a_reader_that_takes_nothing_is_told_so_and_can_resume() -> None:
    log = WrittenLog(logged([accepted()]))
    events = delivery(log).events(READING)
    cursor = (await anext(events)).cursor
    for each in logged([DELTA]) * (MAX_QUEUED + 1):
        log.follower.push(each)
    with pytest.raises(ReaderTooSlow):
        await anext(events)
    after = CURSORS.offset(NAME, cursor)
    assert (await kinds(WrittenLog(logged(WHOLE)), after=after))[0] == "retrieved"


async def test_a_silent_answer_says_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forebay_server.answers.delivery.HEARTBEAT_SECONDS", 0.01)
    events = delivery(WrittenLog(logged([accepted()]))).events(READING)
    await anext(events)
    beat = await anext(events)
    assert beat.HasField("heartbeat")
    assert (beat.cursor, beat.query) == ("", NAME)


async def test_a_reader_that_leaves_between_two_events_loses_none() -> None:
    log = WrittenLog()
    waiting = asyncio.ensure_future(log.follower.next())
    await asyncio.sleep(0)
    [record] = logged([accepted()])
    log.follower.push(record)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await log.follower.next() == record


async def test_nothing_in_the_log_is_no_query() -> None:
    with pytest.raises(QueryNotFound):
        await delivery(WrittenLog()).query(READING)
    with pytest.raises(QueryNotFound):
        await kinds(WrittenLog())


async def test_a_call_that_is_tried_again_for_long_is_followed_from_its_acceptance() -> None:
    """Its name still has the time of the first try, a quarter of an hour ago."""
    now = ASKED_AT + 14 * 60
    log = WrittenLog()
    events = delivery(log, Hands(now)).events(READING, accepted=True)
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    log.follower.push(logged([accepted(now + 60)])[0])
    assert (await first).HasField("accepted")


async def test_the_latest_acceptance_says_how_long_an_answer_may_take() -> None:
    late = Hands(DEADLINE + 30)
    log = WrittenLog(logged([accepted(), accepted(DEADLINE + 60)]))
    assert (await delivery(log, late).query(READING)).state == Query.STATE_QUEUED
    events = delivery(log, late).events(READING)
    assert (await anext(events)).HasField("accepted")
    log.follower.push(logged([event(cancelled=AnswerEvent.Cancelled())])[0])
    assert (await anext(events)).HasField("cancelled")


async def test_a_query_past_its_deadline_is_not_over_before_all_of_the_log_was_seen() -> None:
    whole = logged(WHOLE)
    log = WrittenLog(whole[:1], behind=whole[1:])
    shown = ["accepted", "retrieved", "delta", "completed"]
    assert await kinds(log, clock=Hands(DEADLINE + 6)) == shown


async def test_an_end_that_comes_long_after_every_deadline_counts_for_nobody() -> None:
    """Or readers of all of the log would tell another end than those of its beginning."""
    begun, ended = logged(WHOLE[:-1]), logged(WHOLE)[-1:]
    too_late = replace(ended[0], timestamp_ms=int(ASKED_AT * 1000) + LIFETIME_MS)
    clock = Hands(ASKED_AT + LIFETIME_MS / 1000 + 60)
    query = await delivery(WrittenLog([*begun, too_late]), clock).query(READING)
    assert (query.state, query.error.code) == (Query.STATE_FAILED, Code.DEADLINE_EXCEEDED)
    with pytest.raises(QueryExpired):
        await kinds(WrittenLog([*begun, too_late]), clock=clock)


async def test_a_query_past_its_deadline_is_failed_and_has_another_etag() -> None:
    log = WrittenLog(logged(WHOLE[:-1]))
    before = await delivery(log, Hands(DEADLINE + 4)).query(READING)
    after = await delivery(log, Hands(DEADLINE + 6)).query(READING)
    assert before.state == Query.STATE_GENERATING
    assert (after.state, after.error.code) == (Query.STATE_FAILED, Code.DEADLINE_EXCEEDED)
    assert before.etag != after.etag


async def test_a_query_whose_acceptance_is_still_on_its_way_is_not_failed() -> None:
    query = await delivery(WrittenLog(logged([OPENED, FOUND]))).query(READING)
    assert query.state == Query.STATE_GENERATING
