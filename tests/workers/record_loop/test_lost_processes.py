"""Members that end without a word: set equality over every record."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from .bench import QUERIES, Bench
from .kafka_log import KafkaLog
from .minting import Mint
from .scripted_stage import Journal

COUNT = 500  # per partition


class MemberProcess(Journal):
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__()
        self.process = process
        self.began: list[str] = []
        self.ended: list[str] = []
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if not line.endswith(b"\n"):
                return  # killed while it wrote
            what, name = line.decode().split()[:2]
            {"began": self.began, "ended": self.ended}[what].append(name)
            self.note()

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self.reading


class Processes:
    def __init__(self, log: KafkaLog, jwks: Path, group: str) -> None:
        self._log = log
        self._jwks = jwks
        self._group = group
        self._started: list[MemberProcess] = []

    async def start(self, stuck_lane: str = "none") -> MemberProcess:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("member_process.py")),
            self._log.settings.bootstrap_servers,
            self._group,
            str(self._jwks),
            stuck_lane,
            stdout=asyncio.subprocess.PIPE,
        )
        member = MemberProcess(process)
        self._started.append(member)
        return member

    async def end(self) -> None:
        for member in self._started:
            await member.end()


@pytest.fixture
async def kafka_bench(kafka_log: KafkaLog, mint: Mint) -> AsyncIterator[Bench]:
    async with Bench(kafka_log, mint, f"forebay.test-{uuid4()}") as bench:
        yield bench


@pytest.fixture
async def processes(
    kafka_log: KafkaLog, kafka_bench: Bench, mint: Mint, tmp_path: Path
) -> AsyncIterator[Processes]:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(mint.jwks)
    kafka_log.member(kafka_bench.group, [QUERIES])  # its group begins where this test does
    processes = Processes(kafka_log, jwks, kafka_bench.group)
    yield processes
    await processes.end()


async def put_everything(bench: Bench) -> set[str]:
    names = [[f"p{p}n{n % 50}@{n}" for n in range(COUNT)] for p in range(4)]
    for partition, some in enumerate(names):
        await bench.queries(*some, partition=partition)
    return {name for some in names for name in some}


async def test_a_killed_process_loses_no_record_and_repeats_only_what_was_not_committed(
    kafka_bench: Bench, processes: Processes
) -> None:
    everything = await put_everything(kafka_bench)
    first = await processes.start()
    await first.until(lambda: len(first.ended) > len(everything) // 3)
    await first.end()
    committed = sum((await kafka_bench.committed()).values())

    second = await processes.start()
    await kafka_bench.until_committed(*[COUNT] * 4)
    await second.end()
    assert set(first.ended) | set(second.ended) == everything
    assert 0 < committed <= len(first.ended)
    assert len(second.ended) == len(set(second.ended)) == len(everything) - committed
    assert await kafka_bench.dead_letters() == []


@pytest.mark.slow_faults
async def test_a_process_that_was_frozen_past_its_session_loses_no_record_when_it_comes_back(
    kafka_bench: Bench, processes: Processes
) -> None:
    everything = await put_everything(kafka_bench)
    first = await processes.start(stuck_lane="p0n7")
    await first.until(lambda: "p0n7@7" in first.began and len(first.ended) > 100)
    first.process.send_signal(signal.SIGSTOP)

    second = await processes.start(stuck_lane="p0n8")
    await second.until(lambda: "p0n7@7" in second.ended and "p0n8@8" in second.began)
    first.process.send_signal(signal.SIGCONT)
    # Once the frozen one is back in the group, it gets partitions anew.
    await kafka_bench.queries(*(f"later{n}@0" for n in range(200)), partition=0)
    await second.end()
    third = await processes.start()
    await first.end()
    await kafka_bench.until_committed(COUNT + 200, *[COUNT] * 3)
    await third.end()
    ended = set(first.ended) | set(second.ended) | set(third.ended)
    assert {name for name in ended if not name.startswith("later")} == everything
