import asyncio
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from forebay.errors.v1 import ErrorReason
from forebay.records.v1 import QueryRecord, RetryRecord, Stage
from forebay_kafka.failure import error_info, reason_word
from forebay_kafka.partitioning import partition_for, source_key
from forebay_kafka.records import Received
from forebay_kafka.settings import MAX_RECORD_BYTES
from forebay_workers.record_loop.retry_topic import RETRIES, RetryTopic
from forebay_workers.record_loop.settings import RetryPolicy
from forebay_workers.record_loop.stage import Retry, Work

from .bench import DOCUMENTS, PROMPT, Bench, FastClock, HandClock
from .failures import Failing
from .memory_log import MemoryLog
from .minting import Mint, Minted
from .scripted_stage import ScriptedDocuments, name_of

ROUNDS = (30.0, 120.0, 600.0)
IN_THE_YEAR_9000 = 221_845_392_000  # seconds since 1970
LATER = replace(PROMPT, retry=RetryPolicy(budget=5.0, rounds=ROUNDS))


def fails_at_first(name: str, times: float, retry: Retry = Retry.BRIEFLY) -> ScriptedDocuments:
    async def script(work: Work[Any]) -> None:
        nonlocal times
        if name_of(work) == name and times > 0:
            times -= 1
            raise Failing(retry)

    return ScriptedDocuments(script)


async def put_off(
    bench: Bench, record: Minted, delay: float, *, offset: int = 7, attempts: int = 4
) -> None:
    """Give a record back, as an operator does."""
    retries = RetryTopic(bench.log, Stage.STAGE_CHUNKING, bench.group, lambda: 0.0)
    received = Received(DOCUMENTS, 0, offset, 5, record.key, record.value, record.headers)
    await retries.write(received, Failing(Retry.BRIEFLY), attempts=attempts, round_=0, delay=delay)


async def test_what_outlasts_its_attempts_in_place_is_put_off_and_holds_nothing_up(
    bench: Bench,
) -> None:
    stage, clock = fails_at_first("a", 25), FastClock()
    member = bench.start(stage, LATER, clock)
    await bench.documents("a", "b")
    await bench.until_committed(2, topic=DOCUMENTS)
    await stage.until(lambda: sorted(stage.done) == ["a", "b"])
    await stage.until(lambda: member.loop.snapshot().counts.processed == 2)
    counts = member.loop.snapshot().counts
    assert counts.put_off >= 1
    assert stage.started.count("a") == 26
    assert stage.given_up == []
    assert await bench.dead_letters() == []
    for delay in ROUNDS[: counts.put_off]:
        assert any(delay - 2 < slept <= delay for slept in clock.slept)


async def test_a_record_is_given_up_after_its_last_round_with_all_its_attempts(
    bench: Bench,
) -> None:
    stage, clock = fails_at_first("a", float("inf")), FastClock()
    member = bench.start(stage, LATER, clock)
    await bench.documents("a", tenant="acme")
    await stage.until(lambda: member.loop.snapshot().counts.dead_lettered == 1)
    assert [name for name, _ in stage.given_up] == ["a"]
    (letter,) = await bench.dead_letters()
    assert letter.attempts == stage.started.count("a")
    assert (letter.topic, letter.partition, letter.offset) == (DOCUMENTS, 0, 0)
    assert (letter.tenant, letter.resource) == ("acme", "collections/default/documents/a")
    assert letter.timestamp_ms > 1_700_000_000_000
    snapshot = member.loop.snapshot()
    assert snapshot.counts.put_off == len(ROUNDS)
    assert snapshot.counts.consumed == snapshot.counts.finished == 1 + len(ROUNDS)


async def test_poison_is_not_put_off(bench: Bench, mint: Mint) -> None:
    stage = fails_at_first("a", 99, Retry.NEVER)
    member = bench.start(stage, LATER, FastClock())
    await bench.log.append(DOCUMENTS, 0, [mint.document("a"), mint.document("b").without_headers()])
    await bench.until_committed(2, topic=DOCUMENTS)
    assert member.loop.snapshot().counts.put_off == 0
    assert stage.started == ["a"]
    assert sorted(letter.tenant for letter in await bench.dead_letters()) == ["", "acme"]


async def test_retries_of_other_groups_are_passed_over(bench: Bench, mint: Mint) -> None:
    other = Bench(bench.log, mint, f"{bench.group}-other")
    await put_off(other, mint.document("a"), 0)
    await put_off(bench, mint.document("b"), 0)
    stage = ScriptedDocuments()
    member = bench.start(stage, LATER)
    await stage.until(lambda: member.loop.snapshot().counts.finished >= 2)
    assert stage.done == ["b"]
    assert member.loop.snapshot().counts.passed_over == 1


async def test_a_record_waits_for_its_time_without_a_slot_and_without_holding_up_others(
    bench: Bench, mint: Mint
) -> None:
    clock = HandClock()
    stage = ScriptedDocuments()
    member = bench.start(stage, replace(LATER, max_in_flight=1), clock)
    await put_off(bench, mint.document("late"), clock.wall_time() + 3600)
    await put_off(bench, mint.document("late"), clock.wall_time() + 60, offset=8)
    await stage.until(lambda: member.loop.snapshot().waiting == clock.sleepers == 2)
    assert member.loop.snapshot().in_flight == 0
    await bench.documents("now")
    await bench.until_committed(1, topic=DOCUMENTS)
    assert stage.done == ["now"]
    await clock.advance(61)
    await stage.until(lambda: stage.done == ["now", "late"])
    await clock.advance(3600)
    await stage.until(lambda: stage.done == ["now", "late", "late"])


async def test_a_record_that_waits_for_its_time_leaves_with_its_partition_at_once(
    bench: Bench, mint: Mint
) -> None:
    clock, stage = HandClock(), ScriptedDocuments()
    member = bench.start(stage, replace(LATER, drain_timeout=3600), clock)
    await put_off(bench, mint.document("late"), clock.wall_time() + 3600)
    await stage.until(lambda: member.loop.snapshot().waiting == 1)
    await member.drain()
    assert (stage.started, clock.sleepers) == ([], 0)


async def test_attempts_go_on_to_be_counted_and_the_source_is_what_stood_in_its_topic(
    bench: Bench, mint: Mint
) -> None:
    seen: list[Work[Any]] = []

    async def keep(work: Work[Any]) -> None:
        seen.append(work)

    stage = ScriptedDocuments(keep)
    bench.start(stage, LATER)
    record = mint.document("a")
    await put_off(bench, record, 0)
    await stage.until(lambda: stage.done == ["a"])
    (work,) = seen
    assert work.attempt == 5
    headers = record.headers
    assert work.source == Received(DOCUMENTS, 0, 7, 5, record.key, record.value, headers)


@pytest.mark.parametrize("kind", ["forged", "changed"])
async def test_a_retry_proves_nothing_of_what_it_holds(bench: Bench, mint: Mint, kind: str) -> None:
    forged, changed = Mint().document("a"), mint.document("a").with_value(b"other")
    record = {"forged": forged, "changed": changed}[kind]
    stage = ScriptedDocuments()
    member = bench.start(stage, LATER)
    await put_off(bench, record, 0)
    await stage.until(lambda: member.loop.snapshot().counts.dead_lettered == 1)
    assert stage.started == []


def due(not_before: Timestamp) -> RetryRecord:
    return RetryRecord(source=RetryRecord.Source(topic=DOCUMENTS, offset=1), not_before=not_before)


@pytest.mark.parametrize(
    "retry",
    [
        b"\xff",
        None,
        b"",
        due(Timestamp(nanos=-1)),
        due(Timestamp(seconds=IN_THE_YEAR_9000)),
    ],
)
async def test_a_retry_that_cannot_be_read_becomes_a_dead_letter(
    bench: Bench, retry: RetryRecord | bytes | None
) -> None:
    stage = ScriptedDocuments()
    member = bench.start(stage, LATER)
    key = source_key(bench.group, DOCUMENTS, 0, 1)
    value = retry
    if isinstance(retry, RetryRecord):
        own = RetryRecord(group=bench.group)
        own.MergeFrom(retry)
        value = own.SerializeToString()
    poison = Minted(key.encode(), value, ())
    await bench.log.append(RETRIES, partition_for(key, bench.log.partitions), [poison])
    await stage.until(lambda: member.loop.snapshot().counts.dead_lettered == 1)
    (letter,) = await bench.dead_letters()
    assert letter.topic == RETRIES
    assert error_info(letter.error).reason == reason_word(ErrorReason.ERROR_REASON_RECORD_INVALID)


async def test_a_retry_that_counts_as_many_attempts_as_fit_into_it_comes_to_an_end(
    bench: Bench, mint: Mint
) -> None:
    stage = fails_at_first("a", float("inf"), Retry.NEVER)
    member = bench.start(stage, LATER)
    await put_off(bench, mint.document("a"), 0, attempts=2**31 - 1)
    await stage.until(lambda: member.loop.snapshot().counts.dead_lettered == 1)


async def test_a_retry_of_a_topic_that_the_stage_does_not_read_is_poison(
    bench: Bench, mint: Mint
) -> None:
    class Queries(ScriptedDocuments):
        reads = (QueryRecord,)

    stage = Queries()
    member = bench.start(stage, LATER)
    await put_off(bench, mint.document("a"), 0)
    await stage.until(lambda: member.loop.snapshot().counts.dead_lettered == 1)


async def test_a_record_too_large_to_be_put_off_becomes_a_dead_letter(
    bench: Bench,
) -> None:
    stage = fails_at_first("a", float("inf"))
    member = bench.start(stage, LATER, FastClock())
    await bench.documents("a", text="x" * (MAX_RECORD_BYTES - 1_800))
    await stage.until(lambda: member.loop.snapshot().counts.dead_lettered == 1)
    (letter,) = await bench.dead_letters()
    assert letter.tenant == "acme"
    assert not letter.HasField("value")
    assert [name for name, _ in stage.given_up] == ["a"]


async def test_a_tombstone_that_cannot_be_followed_is_put_off_as_one(
    bench: Bench, mint: Mint
) -> None:
    class Ending(ScriptedDocuments):
        failing = 10

        async def end(self, key: str) -> None:
            if self.failing:
                self.failing -= 1
                raise Failing(Retry.BRIEFLY)
            self.done.append(key)
            self.note()

    stage = Ending()
    rounds = RetryPolicy(budget=0, rounds=(1,) * 11)
    member = bench.start(stage, replace(PROMPT, retry=rounds), FastClock())
    end = mint.document("a").with_value(None).without_headers()
    await bench.log.append(DOCUMENTS, 0, [end])
    await stage.until(lambda: stage.done == [end.key.decode()])
    assert member.loop.snapshot().counts.put_off == 10


async def test_a_stage_takes_over_partitions_of_its_input_alone(
    memory_log: MemoryLog, mint: Mint
) -> None:
    async with Bench(memory_log, mint, "forebay.test") as bench:
        first, second = ScriptedDocuments(), ScriptedDocuments()
        one, two = bench.start(first, LATER), bench.start(second, LATER)
        await asyncio.gather(one.loop.joined.wait(), two.loop.joined.wait())
        held = [{n.name.topic for n in m.loop.snapshot().partitions} for m in (one, two)]
        assert {RETRIES} in held
        only_retries = (first, second)[held.index({RETRIES})]
        await put_off(bench, mint.document("a"), 0)
        await only_retries.until(lambda: only_retries.done == ["a"])
        assert only_retries.ownership == []


async def test_bytes_of_retries_that_wait_do_not_stop_the_inputs(bench: Bench, mint: Mint) -> None:
    clock, stage = HandClock(), ScriptedDocuments()
    bench.start(stage, replace(LATER, max_held_bytes=20_000), clock)
    for n in range(10):
        record = mint.document(f"late-{n}", text="x" * 8_000)
        await put_off(bench, record, clock.wall_time() + 3600, offset=n)
    await bench.documents(*(f"now-{n}" for n in range(300)))
    await bench.until_committed(300, topic=DOCUMENTS)
    assert len(stage.done) == 300
