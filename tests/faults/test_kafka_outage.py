"""Without Kafka nothing is accepted; with it again everything goes on by itself."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from forebay.client import AsyncClient, Unavailable
from forebay.errors.v1 import ErrorReason
from forebay_standalone.system import System

from .conftest import in_the_end
from .stand import START_SECONDS

DEADLINE_SECONDS = 3.0
READY_SECONDS = 20.0


def start(system: System) -> None:
    system.broker.start()
    system.broker.wait_ready(START_SECONDS)


def pids(system: System) -> dict[str, int | None]:
    return {name: program.pid for name, program in system.programs.items()}


@pytest.mark.slow_faults
@pytest.mark.parametrize("outage", ["kill", "suspend"])
async def test_nothing_is_accepted_without_the_log_and_all_goes_on_with_it(
    system: System, client: AsyncClient, impatient: AsyncClient, outage: str
) -> None:
    receipt = await client.ingest("plant", "before", text="The weir was built before.")
    await client.wait_indexed(receipt.name, receipt.etag)
    before = pids(system)
    await asyncio.to_thread(getattr(system.broker, outage))
    await refused_in_time(lambda: impatient.submit("Who built the weir?"))
    await refused_in_time(lambda: impatient.ingest("plant", "lost", text="Lost?"))
    await until_ready(system, {"log": False, "keys": True, "policy": True, "serving": True})
    await asyncio.to_thread(system.broker.resume if outage == "suspend" else lambda: start(system))
    receipt = await in_the_end(
        lambda: client.ingest("plant", "after", text="The dam was built after.")
    )
    await client.wait_indexed(receipt.name, receipt.etag)
    answer = await client.ask("When was the dam built?").answer()
    assert "after" in answer.text
    await until_ready(system, {"log": True, "keys": True, "policy": True, "serving": True})
    assert pids(system) == before
    assert all(program.alive for program in system.programs.values())


async def until_ready(system: System, expected: dict[str, bool]) -> None:
    """Probe the edge until it says so: its figures of the log are a few seconds old."""
    async with httpx.AsyncClient() as probe, asyncio.timeout(READY_SECONDS):
        while True:
            answer = await probe.get(f"http://{system.addresses.http}/readyz")
            if answer.json()["checks"] == expected:
                break
            await asyncio.sleep(0.2)
    assert answer.status_code == (200 if all(expected.values()) else 503)


async def refused_in_time(call: Callable[[], Awaitable[object]]) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(Unavailable) as refused:
        await call()
    assert loop.time() - began < DEADLINE_SECONDS
    assert refused.value.reason == ErrorReason.ERROR_REASON_LOG_UNAVAILABLE
    assert refused.value.retry_delay is not None


@pytest.mark.slow_faults
async def test_a_question_asked_in_an_outage_is_answered_once_after_it(
    system: System, client: AsyncClient
) -> None:
    receipt = await client.ingest("plant", "weir", text="The weir is inspected every Monday.")
    await client.wait_indexed(receipt.name, receipt.etag)
    await asyncio.to_thread(system.broker.kill)
    asking = asyncio.create_task(client.ask("When is the weir inspected?").answer())
    await asyncio.to_thread(start, system)
    answer = await asyncio.wait_for(asking, 60)
    assert "every Monday" in answer.text
    again = await client.get_query(answer.query)
    assert again.answer == answer.text
