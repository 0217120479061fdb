"""What is not begun by a process that slept."""

from forebay_workers.record_loop.sleep_guard import ASLEEP_SECONDS, DOUBT_SECONDS, SleepGuard


class Now:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def guard() -> tuple[SleepGuard, Now]:
    now = Now()
    return SleepGuard(now), now


def test_a_process_that_is_awake_begins_at_once() -> None:
    guarded, now = guard()
    for _ in range(100):
        now.time += ASLEEP_SECONDS / 2
        guarded.tick()
        assert guarded.wait() == 0.0


def test_nothing_begins_when_it_wakes_even_before_it_noticed() -> None:
    guarded, now = guard()
    now.time += 20.0
    assert guarded.wait() == DOUBT_SECONDS


def test_after_the_time_of_doubt_it_begins_again() -> None:
    guarded, now = guard()
    now.time += 20.0
    guarded.tick()
    now.time += DOUBT_SECONDS / 2
    guarded.tick()
    assert guarded.wait() == DOUBT_SECONDS / 2
    now.time += DOUBT_SECONDS / 2
    assert guarded.wait() == 0.0
