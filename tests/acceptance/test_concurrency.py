"""Hundreds of slow answers at a time in one worker."""

import asyncio
import time
from dataclasses import dataclass
from uuid import uuid4

import pytest

from forebay.client import AsyncClient
from forebay_benchmarks.model_server.process import ModelServer

from .conftest import Connect

ANSWERS = 300
MODEL_SECONDS = 2.0
SPREAD_SECONDS = 6.0  # one after another they would take ten minutes


@dataclass(frozen=True)
class Timed:
    """One question's canary, its answer, and when that was whole."""

    canary: str
    answer: str
    done: float


@pytest.mark.over_grpc_alone("the worker is what is tested")
async def test_three_hundred_answers_of_a_slow_model_are_written_at_the_same_time(
    connect: Connect, models: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    client = connect()
    receipt = await client.ingest("plant", "weir", text="The weir is inspected every Monday.")
    await client.wait_indexed(receipt.name, receipt.etag)
    models.forget_calls()
    models.behave(first_token_seconds=MODEL_SECONDS, kinds=["chat"])
    began = time.monotonic()
    answers = await asyncio.gather(*(timed(client) for _ in range(ANSWERS)))
    ends = sorted(each.done - began for each in answers)
    with capsys.disabled():
        print(f"\n{ANSWERS} answers of a {MODEL_SECONDS:g}-second model: {figures(ends)}")
    assert all(each.canary in each.answer for each in answers)
    assert len({each.answer for each in answers}) == ANSWERS
    assert models.calls()["chat"] == ANSWERS
    assert ends[-1] - ends[0] <= SPREAD_SECONDS


async def timed(client: AsyncClient) -> Timed:
    canary = f"canary-{uuid4().hex}"
    answer = await client.ask(f"Who inspects the weir? {canary}").answer()
    return Timed(canary, answer.text, time.monotonic())


def figures(ends: list[float]) -> str:
    middle = ends[len(ends) // 2]
    return f"first {ends[0]:.1f} s, median {middle:.1f} s, last {ends[-1]:.1f} s"
