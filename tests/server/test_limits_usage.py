"""The tokens of a day as every edge reads them from the log."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from forebay.query.v1 import Usage
from forebay.records.v1 import QueryRecord, UsageRecord
from forebay_kafka.envelope import EnvelopeSigner, EnvelopeVerifier, Statement
from forebay_kafka.envelope_keys import signing_keys, verification_keys
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import Received, RecordReader, record_type
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.tail import LogTail
from forebay_server.limits import usage_tail
from forebay_server.limits.errors import LimitsUnavailable
from forebay_server.limits.usage_ledger import SECONDS_PER_DAY, UsageLedger
from forebay_server.limits.usage_tail import UsageTail

from .keys import private_jwk, public_jwk
from .limited import Turned, caller

KEY = Ed25519PrivateKey.generate()
SIGNER = EnvelopeSigner(signing_keys(json.dumps(private_jwk(KEY, "e1"))))
FORGER = EnvelopeSigner(signing_keys(json.dumps(private_jwk(Ed25519PrivateKey.generate(), "e1"))))
RECORDS = RecordReader(
    EnvelopeVerifier(verification_keys(json.dumps({"keys": [public_jwk(KEY, "e1")]})))
)


class Generation:
    """Writes usage records as the stage does that calls models."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def write(
        self,
        tenant: str,
        tokens: int,
        *,
        query: str = "",
        attempt: str = "1",
        days_ago: float = 0,
        signer: EnvelopeSigner = SIGNER,
    ) -> None:
        name = f"queries/{query or uuid4().hex}"
        usage = Usage(model="m", input_tokens=tokens - 1, output_tokens=1)
        record = UsageRecord(name=name, attempt=attempt, usage=usage)
        record.time.FromNanoseconds(int((time.time() - days_ago * SECONDS_PER_DAY) * 1e9))
        identity = caller("ada", tenant).identity()
        token = signer.seal(identity, record_type(QueryRecord), b"", Statement(name))
        await self._publisher.publish(record, key=tenant, identity_token=token)


@pytest.fixture
async def publisher(kafka: KafkaSettings) -> AsyncIterator[Publisher]:
    async with Publisher(kafka) as open_publisher:
        yield open_publisher


@pytest.fixture
def generation(publisher: Publisher) -> Generation:
    return Generation(publisher)


@pytest.fixture
def tenant() -> str:
    return f"tenant-{uuid4().hex}"


async def opened(kafka: KafkaSettings, publisher: Publisher) -> tuple[UsageTail, UsageLedger]:
    ledger = UsageLedger(time.time)
    partitions = await publisher.partition_count(UsageRecord)
    return UsageTail(kafka, RECORDS, partitions, ledger), ledger


async def caught_up(ledger: UsageLedger, tenant: str) -> int:
    """What the ledger says once it says anything; a busy machine may take longer than a call."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await ledger.used(tenant)
            except LimitsUnavailable:
                continue


async def reach(ledger: UsageLedger, tenant: str, tokens: int) -> None:
    async with asyncio.timeout(60):
        while await caught_up(ledger, tenant) < tokens:  # noqa: ASYNC110 records make no event
            await asyncio.sleep(0.01)
    assert await ledger.used(tenant) == tokens


async def test_what_was_written_before_and_what_comes_is_charged_once_on_every_edge(
    kafka: KafkaSettings, publisher: Publisher, generation: Generation, tenant: str
) -> None:
    other = f"{tenant}-other"
    await generation.write(tenant, 100, query="a", attempt="1")
    await generation.write(tenant, 100, query="a", attempt="1")  # a worker that did not know
    await generation.write(tenant, 10, query="a", attempt="2")
    await generation.write(other, 7)
    (first, first_ledger), (second, second_ledger) = [
        await opened(kafka, publisher) for _ in range(2)
    ]
    async with first:
        assert await caught_up(first_ledger, tenant) == 110
        assert await caught_up(first_ledger, other) == 7
        async with second:
            await generation.write(tenant, 1_000)
            await generation.write(tenant, 100, query="a", attempt="1")
            await generation.write(tenant, 5)
            for ledger in (first_ledger, second_ledger):
                await reach(ledger, tenant, 1_115)
    restarted, ledger = await opened(kafka, publisher)
    async with restarted:
        assert await caught_up(ledger, tenant) == 1_115


async def test_records_that_nobody_vouches_for_and_those_of_other_days_cost_nothing(
    kafka: KafkaSettings, publisher: Publisher, generation: Generation, tenant: str
) -> None:
    await generation.write(tenant, 100, signer=FORGER)
    await generation.write(tenant, 200, days_ago=1)
    await generation.write(tenant, 300, days_ago=30)
    record = UsageRecord(name="queries/a", attempt="1", usage=Usage(output_tokens=400))
    record.time.GetCurrentTime()
    token = SIGNER.seal(
        caller("ada", "another").identity(), "x", b"", Statement("queries/a")
    )  # the key is one tenant's, the envelope another's
    await publisher.publish(record, key=tenant, identity_token=token)
    await publisher.publish(record, key=tenant, identity_token=b"none")
    await generation.write(tenant, 8)
    tail, ledger = await opened(kafka, publisher)
    async with tail:
        assert await caught_up(ledger, tenant) == 8


async def test_a_day_with_more_records_than_memory_holds_is_read_whole(
    kafka: KafkaSettings,
    publisher: Publisher,
    generation: Generation,
    tenant: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(usage_tail, "MOST_WAITING", 40)
    monkeypatch.setattr(usage_tail, "FEW_WAITING", 5)
    monkeypatch.setattr("forebay_kafka.tail.BATCH", 30)
    stops: list[int] = []
    waiting: list[int] = []
    unfollow, take = LogTail.unfollow, UsageTail._take

    def noting_unfollow(self: LogTail, partition: int) -> None:
        stops.append(partition)
        unfollow(self, partition)

    def noting_take(self: UsageTail, records: Sequence[Received]) -> None:
        take(self, records)
        waiting.append(len(self._waiting))

    monkeypatch.setattr(LogTail, "unfollow", noting_unfollow)
    monkeypatch.setattr(UsageTail, "_take", noting_take)
    await asyncio.gather(*(generation.write(tenant, 3) for _ in range(1_000)))
    tail, ledger = await opened(kafka, publisher)
    async with tail:
        assert await caught_up(ledger, tenant) == 3_000
        await generation.write(tenant, 1)
        await reach(ledger, tenant, 3_001)
    assert stops
    # What was handed over before the thread obeyed comes on top: a few batches, not the topic.
    assert max(waiting) <= 40 + 8 * 30


async def test_while_the_log_is_away_nobody_knows_and_answers_are_refused() -> None:
    nowhere = KafkaSettings(bootstrap_servers="127.0.0.1:1")
    ledger = UsageLedger(Turned(time.time()))
    async with UsageTail(nowhere, RECORDS, 3, ledger):
        with pytest.raises(LimitsUnavailable):
            await ledger.used("acme")
        assert ledger.used_so_far("acme") is None


async def test_how_long_a_day_takes_to_read(
    kafka: KafkaSettings, publisher: Publisher, generation: Generation, tenant: str
) -> None:
    await asyncio.gather(*(generation.write(tenant, 2) for _ in range(2_000)))
    tail, ledger = await opened(kafka, publisher)
    started, worst = time.perf_counter(), 0.0
    async with tail:
        while ledger.used_so_far(tenant) is None:
            before = time.perf_counter()
            await asyncio.sleep(0)
            worst = max(worst, time.perf_counter() - before)
        seconds = time.perf_counter() - started
    print(
        f"\na day of 2,000 answers and what else there was: {seconds:.2f} s, "
        f"the loop's longest pause {worst * 1000:.0f} ms"
    )
    assert ledger.used_so_far(tenant) == 4_000
    assert worst < 1  # verifying a whole batch at once would take that long
