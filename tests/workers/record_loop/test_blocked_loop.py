import asyncio
import time

import pytest

from forebay_workers.blocked_loop import BlockedLoopDetector


def hold_up(seconds: float) -> None:
    time.sleep(seconds)


async def test_a_blocked_event_loop_is_named_with_the_place_where_it_stands(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with BlockedLoopDetector(0.05):
        await asyncio.sleep(0.2)
        assert caplog.records == []
        hold_up(0.5)
    (line,) = caplog.records
    assert line.message == "the event loop is blocked"
    assert line.__dict__["where"][0].startswith("test_blocked_loop.py:")


async def test_a_loop_that_turns_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    with BlockedLoopDetector(0.2):
        for _ in range(50):
            await asyncio.sleep(0.01)
    assert caplog.records == []
