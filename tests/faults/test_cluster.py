"""Three brokers: one may die unnoticed; with two dead nothing is accepted, and nothing is lost."""

import asyncio
import random
from collections.abc import Iterator

import pytest

from forebay.client import AsyncClient, ForebayError, ResourceExhausted, Unavailable
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.broker import KafkaBroker
from forebay_standalone.programs import Sizes
from forebay_standalone.system import System

from .accountant import Accountant
from .canaries import COLLECTION, canaries
from .conftest import ONE_ATTEMPT, heal
from .fault_table import FaultTable
from .load import Load
from .stand import APART, START_SECONDS, options, running
from .strike import strike

BROKERS = 3
REFUSED_SECONDS = 12.0  # the delivery timeout, and some for the way

pytestmark = [pytest.mark.slow_faults, pytest.mark.timeout(500)]


@pytest.fixture(scope="module")
def cluster(model_server: ModelServer) -> Iterator[System]:
    sizes = Sizes(brokers=BROKERS, programs=APART)
    with running(options(model_server, sizes=sizes)) as system:
        yield system


@pytest.fixture
def system(cluster: System) -> Iterator[System]:
    yield cluster
    heal(cluster)


async def test_one_of_three_brokers_dies_under_load(
    system: System, load: Load, accountant: Accountant, table: FaultTable, rolls: random.Random
) -> None:
    with table.fault(
        "three brokers, one killed under load", "G1 G3", "nothing refused for good, nothing lost"
    ) as row:
        moments = []

        async def kill_one() -> None:
            before = await accountant.before()
            await asyncio.to_thread(rolls.choice(system.brokers).kill)
            await load.until_ended(len(load.asked) // 2)
            moments.append(await accountant.moment(before))

        await strike(load, rolls, kill_one)
        row.saw(*await accountant.close(moments, may_fail=True))


async def test_with_two_of_three_brokers_dead_writes_are_refused_and_nothing_accepted_is_lost(
    system: System, load: Load, accountant: Accountant, table: FaultTable, rolls: random.Random
) -> None:
    with table.fault(
        "three brokers, two killed under load, both started again",
        "G1 G2 G3",
        "writes refused in time; after the restart all accepted is done, once",
    ) as row:
        moments = []

        async def kill_two() -> None:
            before = await accountant.before()
            first, second, _ = rolls.sample(system.brokers, BROKERS)
            await asyncio.to_thread(first.kill)
            await asyncio.to_thread(second.kill)
            row.saw(await refusal(system, load, rolls))
            await asyncio.gather(*(restart(broker) for broker in (first, second)))
            moments.append(await accountant.moment(before))

        await strike(load, rolls, kill_two)
        row.saw(*await accountant.close(moments, may_fail=True, seconds=120))


async def refusal(system: System, load: Load, rolls: random.Random) -> str:
    """A document that comes now is refused; nobody believes it was accepted."""
    [canary] = canaries(rolls, 1, 1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with AsyncClient(
        system.addresses.grpc,
        load.token(canary.tenant),
        timeout=REFUSED_SECONDS + 10,
        retry=ONE_ATTEMPT,
    ) as client:
        with pytest.raises(ForebayError) as refused:
            await client.ingest(COLLECTION, canary.lock, text=canary.text)
    took = loop.time() - began
    assert isinstance(refused.value, Unavailable | ResourceExhausted)
    assert took < REFUSED_SECONDS
    return f"refused as {refused.value.code.name} after {took:.1f} s"


async def restart(broker: KafkaBroker) -> None:
    await asyncio.to_thread(broker.start)
    await asyncio.to_thread(broker.wait_ready, START_SECONDS)
