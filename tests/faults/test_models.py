"""Model endpoints that are slow, silent, full, broken, or cut an answer off."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from forebay_benchmarks.model_server.process import ModelServer

from .accountant import BROKEN_OFF, Accountant
from .fault_table import FaultTable
from .load import Load
from .strike import strike

QUESTIONS = 24
DOCUMENTS = 40


@dataclass(frozen=True)
class Misfortune:
    """What the endpoint does from some moment on, and for how many seconds."""

    fault: str
    expected: str
    seconds: float
    behaviour: dict[str, Any] = field(default_factory=dict)
    may_fail: bool = False


SLOW = Misfortune(
    "model endpoint slow: 5 s to the first token, 3 s for vectors",
    "all answered and indexed, each paid once",
    10.0,
    {"first_token_seconds": 5.0, "embedding_seconds": 3.0},
)
HANGING = Misfortune(
    "model endpoint hanging for 5 s of calls",
    "silent calls are given up; all answered and indexed",
    5.0,
    {"hang": "before"},
)
THROTTLING = Misfortune(
    "model endpoint answers 429 with Retry-After for 5 s",
    "all answered and indexed, nothing given up",
    5.0,
    {"refuse_status": 429},
)
FAILING = Misfortune(
    "model endpoint answers 500 for 5 s",
    "all answered and indexed",
    5.0,
    {"refuse_status": 500},
)
CUTTING = Misfortune(
    "model endpoint cuts every stream in the middle for 1 s",
    "each question has one end after three attempts at most; readers see whole answers",
    1.0,
    {"kinds": ["chat"], "cut_after_chunks": 3},
    may_fail=True,
)


@pytest.mark.parametrize(
    "misfortune",
    [
        pytest.param(SLOW, id="slow", marks=pytest.mark.slow_faults),
        pytest.param(HANGING, id="hanging", marks=pytest.mark.slow_faults),
        pytest.param(THROTTLING, id="429", marks=pytest.mark.slow_faults),
        pytest.param(FAILING, id="500", marks=pytest.mark.slow_faults),
        pytest.param(CUTTING, id="cut"),
    ],
)
async def test_a_model_endpoint_misbehaves_for_a_while(
    models: ModelServer,
    load: Load,
    accountant: Accountant,
    table: FaultTable,
    rolls: random.Random,
    misfortune: Misfortune,
) -> None:
    with table.fault(misfortune.fault, "G1 G3 G7 G9", misfortune.expected) as row:

        async def misbehave() -> None:
            await asyncio.to_thread(models.behave, **misfortune.behaviour)
            await asyncio.sleep(misfortune.seconds)
            await asyncio.to_thread(models.behave)

        await strike(load, rolls, misbehave, questions=QUESTIONS, documents=DOCUMENTS, at_once=4)
        row.saw(*await accountant.close([], may_fail=misfortune.may_fail, unpaid=BROKEN_OFF))
