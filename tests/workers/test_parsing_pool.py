"""The pool outlives hostile documents."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forebay_workers.parsing.errors import (
    DocumentEmpty,
    DocumentParserTimeout,
    DocumentTextTooLarge,
    DocumentUnparseable,
)
from forebay_workers.parsing.limits import ParserLimits
from forebay_workers.parsing.pool import ParserPool

MIB = 1024 * 1024
# Half a million open elements: HTML's rules look through all of them for each new one.
SLOW_HTML = b"<div>" * 500_000


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    pool = ParserPool(workers=1, timeout_seconds=60)
    yield pool
    await pool.close()


def children() -> list[int]:
    """Return the process ids of the parsers that this process runs."""
    own = Path("/proc/self/task") / str(os.getpid()) / "children"
    return [
        int(pid)
        for pid in own.read_text().split()
        if b"forebay_workers.parsing.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def environment_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / os.sysconf("SC_CLK_TCK")


async def test_documents_are_parsed_in_a_child_that_is_used_again(pool: ParserPool) -> None:
    parsed = await pool.parse("text/markdown", "# Über\n\ntext".encode())
    first = children()
    assert parsed.text == "Über\n\ntext"
    assert parsed.sections[0].heading_path == ("Über",)
    assert (await pool.parse("text/html", b"<p>x")).text == "x"
    assert children() == first
    assert len(first) == 1


async def test_errors_come_through_with_their_reason(pool: ParserPool) -> None:
    with pytest.raises(DocumentEmpty):
        await pool.parse("text/plain", b" ")
    with pytest.raises(DocumentUnparseable, match="byte 0 is not UTF-8"):
        await pool.parse("text/plain", b"\xff")
    with pytest.raises(DocumentUnparseable):
        await pool.parse("application/pdf", b"%PDF-1.7 nonsense")
    with pytest.raises(DocumentTextTooLarge):
        await pool.parse("text/plain", b"x" * (4 * MIB + 1))
    assert (await pool.parse("text/plain", b"still here")).text == "still here"


async def test_a_hanging_parser_is_killed_and_the_pool_recovers() -> None:
    pool = ParserPool(workers=1, timeout_seconds=1.0)
    with pytest.raises(DocumentParserTimeout):
        await pool.parse("text/html", SLOW_HTML)
    assert children() == []
    assert (await pool.parse("text/plain", b"next")).text == "next"
    await pool.close()


async def test_processor_time_is_limited_per_document() -> None:
    pool = ParserPool(workers=1, timeout_seconds=60, limits=ParserLimits(cpu_seconds=1))
    with pytest.raises(DocumentParserTimeout):
        await pool.parse("text/html", SLOW_HTML)
    assert (await pool.parse("text/plain", b"next")).text == "next"
    await pool.close()


async def test_memory_is_limited(pool: ParserPool) -> None:
    document = b"<i>x</i>" * 500_000
    assert (await pool.parse("text/html", document)).text == "x" * 500_000
    small = ParserPool(limits=ParserLimits(memory_bytes=150 * MIB))
    with pytest.raises(DocumentParserTimeout):
        await small.parse("text/html", document)
    assert (await small.parse("text/plain", b"next")).text == "next"
    await small.close()


async def test_a_child_that_dies_between_documents_costs_nobody_an_error(pool: ParserPool) -> None:
    await pool.parse("text/plain", b"one")
    [child] = children()
    os.kill(child, signal.SIGKILL)
    assert (await pool.parse("text/plain", b"two")).text == "two"


async def test_cancelling_a_document_kills_its_parser(pool: ParserPool) -> None:
    await pool.parse("text/plain", b"warm")
    [child] = children()
    task = asyncio.create_task(pool.parse("text/html", SLOW_HTML))
    while processor_seconds(child) < 0.5:  # noqa: ASYNC110 - only /proc tells how far it is
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children() == []


async def test_the_pool_runs_no_more_children_than_workers() -> None:
    pool = ParserPool(workers=2)
    await asyncio.gather(*(pool.parse("text/plain", b"text %d" % index) for index in range(20)))
    assert len(children()) <= 2
    await pool.close()
    assert children() == []


async def test_a_child_is_replaced_after_its_share_of_documents() -> None:
    pool = ParserPool(limits=ParserLimits(documents_per_child=2))
    await pool.parse("text/plain", b"one")
    [first] = children()
    while first in children():
        await pool.parse("text/plain", b"another")
    assert len(children()) == 1
    await pool.close()
    assert children() == []


async def test_no_document_waits_for_the_replacement_of_a_child() -> None:
    pool = ParserPool(limits=ParserLimits(documents_per_child=1))
    await pool.parse("text/plain", b"one")
    [first] = set(children()) - await starting(pool)
    await pool.parse("text/plain", b"two")
    assert first in children(), "the second document was served by another child"
    await pool.close()
    assert children() == []


async def starting(pool: ParserPool) -> set[int]:
    """Children that do not serve yet."""
    assert pool._successor is not None
    assert not pool._successor.done()
    while len(children()) < 2:  # noqa: ASYNC110 - only /proc tells that it began
        await asyncio.sleep(0.005)
    return {max(children())}


async def test_a_child_sees_none_of_our_secrets(
    pool: ParserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREBAY_GENERATION_API_KEY", "sk-secret")
    await pool.parse("text/plain", b"text")
    [child] = children()
    assert "FOREBAY_GENERATION_API_KEY" not in environment_of(child)
