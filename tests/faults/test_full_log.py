"""A log that cannot grow: nothing is accepted that is not kept."""

import asyncio
import random
import resource

import pytest

from forebay_standalone.system import System

from .accountant import Accountant
from .fault_table import FaultTable
from .load import Load
from .stand import START_SECONDS
from .strike import strike
from .test_cluster import refusal

NOTHING_MORE = 4096  # bytes that any file of the broker may have: no segment can grow
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.mark.slow_faults
@pytest.mark.timeout(400)
async def test_a_log_that_cannot_grow_accepts_nothing_and_loses_nothing(
    system: System, load: Load, accountant: Accountant, table: FaultTable, rolls: random.Random
) -> None:
    with table.fault(
        "the broker's files cannot grow, then can again",
        "G1 G2 G3",
        "writes refused in time; afterwards all accepted is done, once",
    ) as row:
        moments = []

        async def fill_and_free() -> None:
            before = await accountant.before()
            broker = system.broker
            assert broker.pid is not None
            resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (NOTHING_MORE, UNLIMITED[1]))
            row.saw(await refusal(system, load, rolls))
            row.saw("the broker halts" if not broker.alive else "the broker goes on")
            if broker.alive:
                resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, UNLIMITED)
                await asyncio.to_thread(broker.stop)
            await asyncio.to_thread(broker.start)
            await asyncio.to_thread(broker.wait_ready, START_SECONDS)
            moments.append(await accountant.moment(before))

        await strike(load, rolls, fill_and_free)
        row.saw(*await accountant.close(moments, may_fail=True, seconds=120))
