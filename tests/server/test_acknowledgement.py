"""How long a call waits for the log: within its deadline, and not for less than it could."""

import asyncio
from typing import cast

import pytest

from forebay_kafka.errors import LogUnavailable
from forebay_server.acknowledgement import acknowledged
from forebay_server.governance.caller import Call, Caller


def call_with(seconds: float) -> Call:
    return Call(cast("Caller", None), asyncio.get_running_loop().time() + seconds)


async def test_a_call_that_has_little_time_still_gives_the_log_some_of_it() -> None:
    async with acknowledged(call_with(0.2)):
        await asyncio.sleep(0)


@pytest.mark.parametrize("seconds", [-1.0, 0.05, 0.3])
async def test_a_call_that_the_log_leaves_waiting_is_refused_within_its_deadline(
    seconds: float,
) -> None:
    with pytest.raises(LogUnavailable):
        async with asyncio.timeout(max(seconds, 0.05)), acknowledged(call_with(seconds)):
            await asyncio.Event().wait()


async def test_a_call_without_a_deadline_waits_as_long_as_the_log_takes() -> None:
    async with acknowledged(Call(cast("Caller", None))):
        await asyncio.sleep(0)
