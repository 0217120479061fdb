"""Workers that are taken for dead: their successors, and what they do when they wake."""

import asyncio
import random
import time

import pytest

from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.system import System

from .accountant import Accountant
from .fault_table import FaultTable
from .load import Load
from .stand import SESSION_SECONDS, kill, nothing, start, twin, until_running
from .strike import ask_for, strike

SLEEP_SECONDS = 3 * SESSION_SECONDS
TAKEOVER_SECONDS = SESSION_SECONDS + 2.0
THINKING_SECONDS = 9.0  # longer than the takeover, and less than a worker takes for silence
QUESTIONS = 48  # four for each partition


@pytest.mark.slow_faults
@pytest.mark.parametrize("stage", ["generation", "retrieval", "embedding", "chunking"])
async def test_a_worker_that_wakes_after_three_session_timeouts_changes_nothing(
    system: System,
    models: ModelServer,
    load: Load,
    accountant: Accountant,
    table: FaultTable,
    rolls: random.Random,
    stage: str,
) -> None:
    with table.fault(
        f"SIGSTOP of {stage} for three session timeouts, then woken",
        "G1 G3 G4 G9",
        "its successor finishes everything; the zombie pays for nothing more",
    ) as row:
        models.behave(tokens_per_second=20, embedding_seconds=0.1)
        moments = []

        async def sleep_and_wake() -> None:
            program = system.programs[stage]
            await asyncio.to_thread(program.suspend)
            moments.append(await accountant.moment())
            await asyncio.sleep(SLEEP_SECONDS)
            moments.append(await accountant.moment())
            await asyncio.to_thread(program.resume)

        with twin(system, stage):
            await strike(load, rolls, sleep_and_wake)
            row.saw(*await accountant.close(moments))
        # The one that slept is a member again: it alone must be able to do everything.
        await strike(load, rolls, nothing, questions=8, documents=8)
        await accountant.close(moments)


@pytest.mark.slow_faults
async def test_a_killed_worker_is_replaced_two_seconds_after_its_session(
    system: System,
    models: ModelServer,
    load: Load,
    accountant: Accountant,
    table: FaultTable,
    rolls: random.Random,
) -> None:
    with table.fault(
        "SIGKILL of one of two generation workers",
        "G9",
        f"the other goes on with its partitions within {TAKEOVER_SECONDS:.0f} s",
    ) as row:
        facts = await ask_for(load, rolls, QUESTIONS)
        with twin(system, "generation"):
            models.behave(kinds=["chat"], first_token_seconds=THINKING_SECONDS)
            asking = asyncio.create_task(load.ask(facts, at_once=QUESTIONS))
            await until_running(models, "chat", QUESTIONS)
            await kill(system, "generation")
            killed = time.time()
            moments = [await accountant.moment()]
            models.behave()
            await asking
            again = await begun_again(models)
            took = max(again) - killed
            first = min(again) - killed
            row.saw(f"{len(again)} answers begun again after {first:.1f} to {took:.1f} s")
            row.saw(*await accountant.close(moments))
            assert 0 < len(again) < QUESTIONS, "the survivor began its own answers again"
            assert took <= TAKEOVER_SECONDS
            await start(system, "generation")


async def begun_again(models: ModelServer) -> list[float]:
    """When each second call for one question began, in seconds since 1970."""
    seen: set[str] = set()
    again = []
    for call in (await asyncio.to_thread(models.calls))["calls"]:
        [question] = call["sha256"] if call["kind"] == "chat" else [""]
        if question and question in seen:
            again.append(float(call["started"]))
        seen.add(question)
    return again
