"""One suite on two logs: in memory, and a real broker."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from forebay_kafka.group_membership import GroupOptions
from forebay_kafka.settings import KafkaSettings
from forebay_standalone.broker import KafkaBroker
from forebay_standalone.ports import free_port

from .bench import Bench, Log
from .kafka_log import KafkaLog
from .memory_log import MemoryLog
from .minting import Mint

PARTITIONS = 4


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"), free_port())
    broker.start()
    try:
        broker.wait_ready()
        KafkaLog(broker, settings_of(broker), PARTITIONS, GroupOptions()).create_topics()
        yield broker
    finally:
        broker.stop()


def settings_of(broker: KafkaBroker) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=broker.bootstrap_servers)


@pytest.fixture(scope="session")
def mint() -> Mint:
    return Mint()


@pytest.fixture
def memory_log() -> MemoryLog:
    return MemoryLog(PARTITIONS)


@pytest.fixture
async def kafka_log(broker: KafkaBroker) -> AsyncIterator[KafkaLog]:
    async with KafkaLog(broker, settings_of(broker), PARTITIONS, GroupOptions()) as log:
        yield log


@pytest.fixture(params=["memory", "kafka"])
def log(request: pytest.FixtureRequest) -> Log:
    found: Log = request.getfixturevalue(f"{request.param}_log")
    return found


@pytest.fixture
async def bench(log: Log, mint: Mint) -> AsyncIterator[Bench]:
    async with Bench(log, mint, f"forebay.test-{uuid4()}") as bench:
        yield bench


@pytest.fixture
async def memory_bench(memory_log: MemoryLog, mint: Mint) -> AsyncIterator[Bench]:
    async with Bench(memory_log, mint, "forebay.test") as bench:
        yield bench
