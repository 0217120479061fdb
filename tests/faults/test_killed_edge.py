"""An edge that is killed again and again while an answer runs: its readers notice a pause."""

import asyncio
import random

import pytest

from forebay.client import Client
from forebay.query.v1 import AnswerEvent
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.system import System

from .accountant import Accountant
from .canaries import Canary, canaries
from .fault_table import FaultTable
from .load import PATIENT, Asked, Load
from .stand import kill, start
from .watching import require_whole, shown_text

KILLS = 5


@pytest.mark.timeout(300)
@pytest.mark.slow_faults
async def test_readers_survive_an_edge_killed_five_times_within_one_answer(
    system: System,
    models: ModelServer,
    load: Load,
    accountant: Accountant,
    table: FaultTable,
    rolls: random.Random,
) -> None:
    with table.fault(
        f"SIGKILL of the edge, {KILLS} times within one answer",
        "G3 G4 G9",
        "SDK readers, sync and async, and one on the wire: equal text, no repeat; paid once",
    ) as row:
        [fact] = canaries(rolls, 1, 1)
        await load.seed([fact])
        models.behave(kinds=["chat"], answer_tokens=400, tokens_per_second=16)
        asking = asyncio.create_task(load.ask([fact]))
        await load.until(lambda: any(each.events for each in load.asked))
        [asked] = load.asked
        reading = asyncio.create_task(
            asyncio.to_thread(read_without_a_loop, system, load, fact, asked.query)
        )
        for killed in range(1, KILLS + 1):
            await until_more(load, asked)
            await kill(system, "edge")
            await start(system, "edge")
            assert asked.answer is None, f"the answer ended before kill {killed}"
        await until_more(load, asked)
        models.behave()
        await asking
        sync_events = await reading
        require_whole(sync_events)
        assert asked.answer is not None
        assert shown_text(sync_events) == asked.answer.text == shown_text(asked.events)
        row.saw(f"{KILLS} kills, {len(asked.events)} events, {len(asked.answer.text)} characters")
        row.saw(*await accountant.close([]))


def read_without_a_loop(
    system: System, load: Load, canary: Canary, query: str
) -> list[AnswerEvent]:
    with Client(system.addresses.grpc, load.token(canary.tenant), retry=PATIENT) as client:
        return list(client.follow(query))


async def until_more(load: Load, asked: Asked) -> None:
    """Return behind the next event that the asker sees."""
    seen = len(asked.events)
    await load.until(lambda: len(asked.events) > seen)
