import pytest
from grpc import StatusCode

from forebay.client import ForebayError, ResourceExhausted, RetryPolicy, Unavailable
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
    retries.progressed()
    assert retries.wait_after(Unavailable("away"), 11) == 1
    with pytest.raises(Unavailable):
        retries.wait_after(Unavailable("away"), 19)


def test_no_delay_reaches_over_the_deadline() -> None:
    retries = Retries(POLICY, started=0, timeout=5, jitter=lambda: 1.0)
    assert retries.remaining(2) == 3
    with pytest.raises(ResourceExhausted):
        retries.wait_after(ResourceExhausted("slow down", retry_delay=4), 2)


def test_patience_is_counted_from_the_first_failure_not_from_the_last_event() -> None:
    """A model that thinks for longer than the patience must not cost its readers the answer."""
    retries = Retries(POLICY, started=0, jitter=lambda: 1.0)
    retries.progressed()
    assert retries.wait_after(Unavailable("away"), 40) == 1
    with pytest.raises(Unavailable):
        retries.wait_after(Unavailable("away"), 49)


def test_a_stream_that_stayed_open_ends_a_row_of_failures() -> None:
    retries = Retries(POLICY, started=0, jitter=lambda: 1.0)
    for opened in range(0, 90, 9):
        retries.stream_ended(opened, opened + 8)
        assert retries.wait_after(Unavailable("away"), opened + 8) == 1


def test_a_stream_that_broke_at_once_ends_no_row_of_failures() -> None:
    retries = Retries(POLICY, started=0, jitter=lambda: 1.0)
    retries.wait_after(Unavailable("away"), 0)
    retries.stream_ended(8.5, 9)
    with pytest.raises(Unavailable):
        retries.wait_after(Unavailable("away"), 9)


@pytest.mark.parametrize(
    ("code", "attempts"),
    [(StatusCode.CANCELLED, 5), (StatusCode.INTERNAL, 3), (StatusCode.UNKNOWN, 3)],
)
def test_a_stream_that_was_reset_is_tried_as_long_as_patience_lasts(
    code: StatusCode, attempts: int
) -> None:
    """Whatever else comes without a reason may be a defect, which no attempt gets past."""
    retries = Retries(RetryPolicy(1, 4, patience=16), started=0, jitter=lambda: 1.0)
    now = 0.0
    for _ in range(attempts):
        now += retries.wait_after(ForebayError("broken", code=code), now)
    with pytest.raises(ForebayError):
        retries.wait_after(ForebayError("broken", code=code), now)
