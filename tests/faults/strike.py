"""A load in the middle of which something breaks."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from .canaries import Canary, canaries
from .load import Load

TENANTS = 4


async def strike(
    load: Load,
    rolls: random.Random,
    fault: Callable[[], Awaitable[object]],
    *,
    questions: int = 60,
    documents: int = 200,
    at_once: int = 10,
) -> None:
    """Ask and ingest; once a quarter of the questions is answered, break something.

    Returns once every question has ended and every document is accepted; `fault` has run by then.
    """
    facts = await ask_for(load, rolls, questions)
    more = canaries(rolls, TENANTS, documents // TENANTS)
    async with asyncio.TaskGroup() as working:
        working.create_task(load.ask(facts, at_once=at_once))
        working.create_task(load.ingest(more))
        await load.until_ended(questions // 4)
        await fault()


async def ask_for(load: Load, rolls: random.Random, questions: int) -> list[Canary]:
    """Facts that questions find."""
    facts = canaries(rolls, TENANTS, questions // TENANTS)
    await load.seed(facts)
    return facts
