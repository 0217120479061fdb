"""`forebay-worker` as a process."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from forebay.records.v1 import DocumentRecord
from forebay_kafka.topics import topic_of
from forebay_standalone.broker import KafkaBroker

from .kafka_log import KafkaLog
from .minting import Mint


async def worker(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await program("-m", "forebay_workers", *arguments, **environment)


async def program(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    plain = {k: v for k, v in os.environ.items() if not k.startswith("FOREBAY_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env={**plain, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_wrong_setting_is_named_with_its_rule() -> None:
    process = await worker(
        "generation", FOREBAY_ENVELOPE_JWKS_FILE="jwks.json", FOREBAY_MAX_IN_FLIGHT="0"
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"FOREBAY_MAX_IN_FLIGHT: Input should be greater than or equal to 1" in said


async def test_a_missing_setting_is_named() -> None:
    process = await worker("generation")
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"FOREBAY_ENVELOPE_JWKS_FILE: Field required" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_that_is_told_to_stop_leaves_its_group_and_ends_well(
    broker: KafkaBroker, kafka_log: KafkaLog, mint: Mint, tmp_path: Path, number: signal.Signals
) -> None:
    jwks, ready = tmp_path / "jwks.json", tmp_path / "ready"
    jwks.write_text(mint.jwks)
    process = await worker(
        "generation",
        FOREBAY_KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap_servers,
        FOREBAY_ENVELOPE_JWKS_FILE=str(jwks),
        FOREBAY_READY_FILE=str(ready),
    )
    assert process.stderr is not None
    async with asyncio.timeout(30):
        async for line in process.stderr:
            if b"every stage has its partitions" in line:
                break
        process.send_signal(number)
        await process.communicate()
    assert process.returncode == 0
    assert ready.exists()
    assert await asyncio.to_thread(kafka_log.members, "forebay.generation") == 0


@pytest.mark.parametrize("way", ["stuck for too long", "told to stop"])
async def test_a_call_that_never_ends_does_not_keep_a_worker_from_leaving(
    broker: KafkaBroker, kafka_log: KafkaLog, mint: Mint, tmp_path: Path, way: str
) -> None:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(mint.jwks)
    await kafka_log.append(topic_of(DocumentRecord).name, 0, [mint.document("a")])
    script = Path(__file__).with_name("stuck_worker.py")
    process = await program(
        str(script),
        FOREBAY_KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap_servers,
        FOREBAY_ENVELOPE_JWKS_FILE=str(jwks),
        FOREBAY_CALL_TIMEOUT="0.2" if way == "stuck for too long" else "3600",
        FOREBAY_STUCK_LIMIT="3",
        FOREBAY_DRAIN_TIMEOUT="0.1",
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"began\n"
        if way == "told to stop":
            process.terminate()
        _, said = await process.communicate()
    assert process.returncode == (1 if way == "stuck for too long" else 0)
    assert b"calls go on; the process leaves without them" in said
    assert (b"a call goes on although it was cancelled" in said) == (process.returncode == 1)
    assert b"stuck_worker.py:" in said or process.returncode == 0
