import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from forebay.errors.v1 import ErrorReason
from forebay_kafka.failure import error_info, reason_word
from forebay_workers.record_loop.errors import CallStuck
from forebay_workers.record_loop.settings import RetryPolicy
from forebay_workers.record_loop.stage import Work

from .bench import DOCUMENTS, PROMPT, Bench, FastClock
from .memory_log import MemoryLog, MemoryMember
from .minting import Mint
from .scripted_stage import ScriptedDocuments, name_of

QUICK = replace(PROMPT, call_timeout=0.05, stuck_after=0.05)


class Stubborn:
    """A call that goes on whatever it is told."""

    def __init__(self) -> None:
        self.free = asyncio.Event()

    async def __call__(self, _: Work[Any]) -> None:
        while not self.free.is_set():
            with suppress(asyncio.CancelledError):
                await self.free.wait()  # here it stands


async def test_a_call_that_takes_too_long_is_ended_and_tried_again(bench: Bench) -> None:
    tries = 0

    async def hangs_once(_: Work[Any]) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            await asyncio.Event().wait()

    stage = ScriptedDocuments(hangs_once)
    bench.start(stage, QUICK)
    await bench.documents("a")
    await bench.until_committed(1, topic=DOCUMENTS)
    assert stage.started == ["a", "a"]
    assert stage.done == ["a"]


async def test_a_record_whose_calls_all_take_too_long_is_given_up_for_that(bench: Bench) -> None:
    async def hangs(work: Work[Any]) -> None:
        if name_of(work) == "a":
            await asyncio.Event().wait()

    stage = ScriptedDocuments(hangs)
    bench.start(stage, replace(QUICK, retry=RetryPolicy(budget=1)), FastClock())
    await bench.documents("a", "b")
    await bench.until_committed(2, topic=DOCUMENTS)
    (letter,) = await bench.dead_letters()
    info = error_info(letter.error)
    assert info.reason == reason_word(ErrorReason.ERROR_REASON_STAGE_CALL_TIMEOUT)
    assert info.metadata["timeout_seconds"] == "0.05"
    assert stage.done == ["b"]


async def test_giving_up_has_a_timeout_as_well(bench: Bench) -> None:
    tries = 0

    async def refused(_: Work[Any]) -> None:
        raise ValueError

    async def hangs_once(_: Work[Any]) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            await asyncio.Event().wait()

    stage = ScriptedDocuments(refused)
    stage.give_up_script = hangs_once
    bench.start(stage, QUICK, FastClock())
    await bench.documents("a")
    await bench.until_committed(1, topic=DOCUMENTS)
    assert tries == 2


async def test_a_call_that_goes_on_past_its_end_is_counted_and_named_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    call = Stubborn()
    stage = ScriptedDocuments(call)
    member = bench.start(stage, QUICK)
    await bench.documents("a")
    await stage.until(lambda: member.loop.snapshot().stuck == 1)
    await asyncio.sleep(0.6)  # two reviews more
    call.free.set()
    await stage.until(lambda: member.loop.snapshot().stuck == 0)
    await bench.until_committed(1, topic=DOCUMENTS)
    (line,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert line.message == "a call goes on although it was cancelled"
    assert (line.__dict__["topic"], line.__dict__["partition"]) == (DOCUMENTS, 0)
    assert " > test_call_timeout.py:" in line.__dict__["where"]


async def test_a_call_of_a_lost_partition_that_goes_on_is_stuck_too(
    memory_log: MemoryLog, mint: Mint
) -> None:
    call = Stubborn()
    async with Bench(memory_log, mint, "forebay.test") as bench:
        stage = ScriptedDocuments(call)
        member = bench.start(stage, replace(PROMPT, stuck_after=0.05))
        await bench.documents("a")
        await stage.until(lambda: stage.running == 1)
        assert isinstance(member.source, MemoryMember)
        await member.source.lose_everything()
        await stage.until(lambda: member.loop.snapshot().stuck == 1)
        call.free.set()
        await stage.until(lambda: member.loop.snapshot().stuck == 0)
        assert await bench.committed() == {}


async def test_a_loop_fails_when_a_call_is_stuck_for_too_long(bench: Bench) -> None:
    call = Stubborn()
    stage = ScriptedDocuments(call)
    member = bench.start(stage, replace(QUICK, stuck_limit=0.3))
    await bench.documents("a")
    with pytest.raises(CallStuck):
        await asyncio.wait_for(member.task, 30)
    call.free.set()
