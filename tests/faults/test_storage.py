"""Kafka and Postgres are killed under load, and started again."""

import asyncio
import random

import pytest

from forebay_standalone.system import System

from .accountant import Accountant
from .fault_table import FaultTable
from .load import Load
from .stand import START_SECONDS
from .strike import strike

AWAY_SECONDS = 8.0  # longer than a session, and than the readers' heartbeats


@pytest.mark.slow_faults
async def test_a_broker_that_is_killed_under_load_loses_nothing(
    system: System, load: Load, accountant: Accountant, table: FaultTable, rolls: random.Random
) -> None:
    with table.fault(
        "SIGKILL of the broker under load, started again",
        "G1 G2 G3 G4",
        "accepted = indexed or answered, one end each",
    ) as row:
        moments = []

        async def kill_and_start() -> None:
            before = await accountant.before()
            await asyncio.to_thread(system.broker.kill)
            await asyncio.sleep(AWAY_SECONDS)
            await asyncio.to_thread(system.broker.start)
            await asyncio.to_thread(system.broker.wait_ready, START_SECONDS)
            moments.append(await accountant.moment(before))

        await strike(load, rolls, kill_and_start)
        row.saw(*await accountant.close(moments, may_fail=True))
        assert all(program.alive for program in system.programs.values())


@pytest.mark.slow_faults
async def test_a_database_that_is_killed_under_load_loses_nothing(
    system: System, load: Load, accountant: Accountant, table: FaultTable, rolls: random.Random
) -> None:
    with table.fault(
        "SIGKILL of Postgres under load, started again",
        "G1 G3 G6",
        "documents wait and are indexed; questions end once, as UNAVAILABLE at worst",
    ) as row:
        moments = []

        async def kill_and_start() -> None:
            before = await accountant.before()
            await asyncio.to_thread(system.postgres.kill)
            await asyncio.sleep(AWAY_SECONDS)
            await asyncio.to_thread(system.postgres.start)
            await asyncio.to_thread(system.postgres.wait_ready, START_SECONDS)
            moments.append(await accountant.moment(before))

        await strike(load, rolls, kill_and_start)
        row.saw(*await accountant.close(moments, may_fail=True))
        assert all(program.alive for program in system.programs.values())
