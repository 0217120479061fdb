"""The broker's time, as acknowledgements tell it."""

import time

import pytest

from forebay.records.v1 import ContextRecord, StageReport
from forebay_kafka.log_time import SAMPLES, LogTime
from forebay_kafka.publisher import Publisher

MINUTE = 60.0
NEAR = 5.0  # seconds; machines of a test suite stand still at times


class Steady:
    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


async def test_a_machine_whose_clock_is_a_minute_off_learns_the_time_from_the_log(
    publisher: Publisher, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + MINUTE)
    assert publisher.log_time.now() - right() > MINUTE / 2
    await publisher.publish(StageReport(member="m"), key=query, identity_token=b"")
    assert abs(publisher.log_time.now() - right()) < NEAR


async def test_a_time_that_the_writer_gave_itself_teaches_nothing(
    publisher: Publisher, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + MINUTE)
    record = ContextRecord(name=query, text="How deep?")
    await publisher.publish(record, key=query, identity_token=b"x")
    assert publisher.log_time.now() - right() > MINUTE / 2


def test_the_acknowledgement_that_came_soonest_counts() -> None:
    steady = Steady()
    log_time = LogTime(steady)
    for late in (0.5, 0.001, 0.25):
        steady.time += 1.0
        log_time.heard(int((steady.time + MINUTE - late) * 1000))
    assert log_time.now() == pytest.approx(steady.time + MINUTE, abs=0.002)


def test_a_broker_whose_clock_is_put_back_is_believed_after_a_while() -> None:
    steady = Steady()
    log_time = LogTime(steady)
    log_time.heard(int((steady.time + MINUTE) * 1000))
    for _ in range(SAMPLES):
        steady.time += 1.0
        log_time.heard(int(steady.time * 1000))
    assert log_time.now() == pytest.approx(steady.time)
