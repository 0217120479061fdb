import asyncio
import time

import pytest

from forebay_workers.record_loop.pace import CROWDED, LOOK_SECONDS, ROOMY, BusyTime, Pace

MOST = 8
LOOKS = 10  # enough to come from one end to the other
WAIT_SECONDS = 10.0


@pytest.fixture
def pace() -> Pace:
    return Pace(MOST, lambda: None)


def test_a_stage_begins_with_all_its_places(pace: Pace) -> None:
    assert pace.limit == MOST


def test_a_crowded_loop_comes_down_to_two_records_at_a_time_and_goes_on_with_them(
    pace: Pace,
) -> None:
    limits = []
    for _ in range(LOOKS):
        pace.adapt(1.0)
        limits.append(pace.limit)
    assert limits[:3] == [4, 2, 2]
    assert limits[-1] == 2


def test_a_stage_of_one_place_keeps_it() -> None:
    pace = Pace(1, lambda: None)
    pace.adapt(1.0)
    assert pace.limit == 1


def test_a_loop_with_room_gets_all_its_places_back_and_says_so_each_time() -> None:
    raised: list[int] = []
    pace = Pace(MOST, lambda: raised.append(pace.limit))
    pace.adapt(1.0)
    pace.adapt(1.0)
    for _ in range(LOOKS):
        pace.adapt(0.2)
    assert pace.limit == MOST
    assert raised == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("busy", [ROOMY, CROWDED])
def test_between_the_two_nothing_moves(pace: Pace, busy: float) -> None:
    pace.adapt(1.0)
    pace.adapt(busy)
    assert pace.limit == MOST // 2


async def test_a_loop_that_calculates_is_crowded_and_one_that_waits_is_not() -> None:
    widened = asyncio.Event()
    pace = Pace(MOST, widened.set)
    keeping = asyncio.create_task(pace.keep())
    async with asyncio.timeout(WAIT_SECONDS):
        while pace.limit == MOST:
            burn(LOOK_SECONDS)
            await asyncio.sleep(0)
        await widened.wait()
    keeping.cancel()


def test_waiting_for_somebody_else_is_no_busy_time() -> None:
    with BusyTime() as busy:
        before = busy.seconds()
        time.sleep(0.2)
        slept = busy.seconds() - before
        burn(0.2)
        burnt = busy.seconds() - before - slept
    assert slept < 0.1 < burnt


def burn(seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        pass
