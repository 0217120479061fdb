import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from forebay.records.v1 import Stage, StageReport
from forebay_kafka.envelope_files import VerificationKeyFile
from forebay_kafka.topics import topic_of
from forebay_workers.metrics import MetricsAddress, serve_metrics
from forebay_workers.record_loop.settings import RetryPolicy
from forebay_workers.record_loop.stage import Retry, Work
from forebay_workers.stage_reports import StageReports

from .bench import DOCUMENTS, PROMPT, Bench
from .failures import Failing
from .memory_log import MemoryLog
from .scripted_stage import ScriptedDocuments, ScriptedStage, name_of

REPORTS = topic_of(StageReport).name


class Written:
    """The reports that a test's log took."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.tokens: list[bytes] = []
        self.reports: list[StageReport] = []
        self.failing = False

    async def publish(self, message: Any, *, key: str, identity_token: bytes, **_: Any) -> object:
        if self.failing:
            raise OSError
        self.keys.append(key)
        self.tokens.append(identity_token)
        self.reports.append(message)
        return object()


def blocked(gate: asyncio.Event) -> ScriptedDocuments:
    async def script(work: Work[Any]) -> None:
        if name_of(work) == "b":
            await gate.wait()
        if name_of(work) == "c":
            raise Failing(Retry.NEVER)

    return ScriptedDocuments(script)


async def test_a_report_says_what_a_stage_holds_and_has_done(memory_bench: Bench) -> None:
    gate = asyncio.Event()
    stage = blocked(gate)
    member = memory_bench.start(stage, replace(PROMPT, max_in_flight=1))
    await memory_bench.documents("a", "c", partition=1)
    await stage.until(lambda: member.loop.snapshot().counts.dead_lettered == 1)
    await memory_bench.documents("b", "d", partition=2)
    await stage.until(lambda: member.loop.snapshot().waiting == 1)
    written = Written()
    reports = StageReports(written, [member.loop])
    task = asyncio.create_task(reports.run())
    await stage.until(lambda: written.reports != [])
    task.cancel()
    (report,) = written.reports
    assert (report.stage, report.group) == (Stage.STAGE_CHUNKING, memory_bench.group)
    assert report.member == reports.member
    assert written.keys == [f"chunking/{reports.member}"]
    assert written.tokens == [b""]
    assert report.state == StageReport.STATE_RUNNING
    assert (report.finished, report.dead_lettered, report.stuck) == (2, 1, 0)
    held = {each.partition: each for each in report.partitions}
    assert {each.topic for each in report.partitions} == {DOCUMENTS}
    assert [held[n].position for n in range(4)] == [0, 2, 2, 0]
    assert [held[n].in_flight for n in range(4)] == [0, 0, 1, 0]
    assert [held[n].waiting for n in range(4)] == [0, 0, 1, 0]
    assert [held[n].HasField("oldest_time") for n in range(4)] == [False, False, True, False]
    age = report.time.ToMilliseconds() - held[2].oldest_time.ToMilliseconds()
    assert 0 <= age < 30_000
    gate.set()


async def test_the_last_report_says_that_the_stage_leaves(bench: Bench) -> None:
    written = Written()
    member = bench.start(ScriptedStage())
    await member.loop.joined.wait()
    await member.drain()
    await StageReports(written, [member.loop]).leave()
    assert [report.state for report in written.reports] == [StageReport.STATE_LEAVING]
    assert [list(report.partitions) for report in written.reports] == [[]]


async def test_reports_that_cannot_be_written_are_mentioned_once_and_disturb_no_stage(
    memory_bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    written = Written()
    written.failing = True
    stage = ScriptedStage()
    member = memory_bench.start(stage)
    reports = StageReports(written, [member.loop])
    for _ in range(3):
        await reports.leave()
    warnings = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert [each.name for each in warnings] == ["forebay_workers.stage_reports"]
    await memory_bench.queries("a@0")
    await memory_bench.until_committed(1)


async def test_a_member_names_itself_anew_with_each_start(memory_bench: Bench) -> None:
    member = memory_bench.start(ScriptedStage())
    names = {StageReports(Written(), [member.loop]).member for _ in range(3)}
    assert len(names) == 3


async def test_metrics_say_the_same_and_name_no_tenant(memory_bench: Bench, tmp_path: Path) -> None:
    gate = asyncio.Event()
    stage = blocked(gate)
    settings = replace(PROMPT, max_in_flight=1, retry=RetryPolicy(rounds=()))
    member = memory_bench.start(stage, settings)
    await memory_bench.documents("a", "c", "b", "d", tenant="tenant-in-question")
    await stage.until(lambda: member.loop.snapshot().waiting == 1)
    (tmp_path / "jwks.json").write_text(memory_bench.mint.jwks)
    keys, anywhere = VerificationKeyFile(tmp_path / "jwks.json"), MetricsAddress("127.0.0.1", 0)
    with serve_metrics(anywhere, [member.loop], keys) as port:
        text = await asyncio.to_thread(scrape, port)
    gate.set()
    expected = [
        'forebay_stage_records_total{outcome="processed",stage="chunking"} 1.0',
        'forebay_stage_records_total{outcome="dead_lettered",stage="chunking"} 1.0',
        'forebay_stage_retries_total{stage="chunking"} 0.0',
        'forebay_stage_in_flight{stage="chunking"} 1.0',
        'forebay_stage_waiting{stage="chunking"} 1.0',
        'forebay_stage_stuck_calls{stage="chunking"} 0.0',
        'forebay_stage_halted{stage="chunking"} 0.0',
        "forebay_worker_keys_refused 0.0",
    ]
    assert set(expected) <= set(text.splitlines())
    assert 'forebay_stage_oldest_record_age_seconds{stage="chunking"}' in text
    assert "tenant-in-question" not in text


def scrape(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return str(answer.read().decode())


async def test_reports_are_readable_in_the_log(memory_log: MemoryLog, memory_bench: Bench) -> None:
    member = memory_bench.start(ScriptedStage())
    await member.loop.joined.wait()
    await StageReports(memory_log, [member.loop]).leave()
    records = [
        record
        for partition in range(memory_log.partitions)
        for record in memory_log.everything(REPORTS, partition)
    ]
    (report,) = [StageReport.FromString(record.value or b"") for record in records]
    assert report.group == memory_bench.group
