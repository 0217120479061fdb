import pytest

from forebay.client import ResourceExhausted, RetryPolicy, Unavailable
from forebay.client.retry import Retries

POLICY = RetryPolicy(first_delay=1, longest_delay=4, patience=10)


def test_delays_double_up_to_the_longest() -> None:
    retries = Retries(RetryPolicy(1, 4, patience=100), started=0, jitter=lambda: 1.0)
    assert [retries.wait_after(Unavailable("away"), 0) for _ in range(4)] == [1, 2, 4, 4]


def test_jitter_takes_up_to_half_of_a_delay() -> None:
    retries = Retries(POLICY, started=0, jitter=lambda: 0.0)
    assert retries.wait_after(Unavailable("away"), 0) == 0.5


def test_patience_ends_without_progress_and_begins_anew_with_it() -> None:
    retries = Retries(POLICY, started=0, jitter=lambda: 1.0)
    retries.progressed(9.5)
    assert retries.wait_after(Unavailable("away"), 11) == 1
    with pytest.raises(Unavailable):
        retries.wait_after(Unavailable("away"), 19)


def test_no_delay_reaches_over_the_deadline() -> None:
    retries = Retries(POLICY, started=0, timeout=5, jitter=lambda: 1.0)
    assert retries.remaining(2) == 3
    with pytest.raises(ResourceExhausted):
        retries.wait_after(ResourceExhausted("slow down", retry_delay=4), 2)
