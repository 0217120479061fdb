from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from forebay.client.request_id import RequestIds

NOON = 1_767_268_800.0


def milliseconds(request_id: str) -> int:
    return UUID(request_id).int >> 80


def test_an_id_is_a_uuid_of_version_7_with_the_time_in_front() -> None:
    request_id = RequestIds(lambda: NOON).new()
    assert UUID(request_id).version == 7
    assert UUID(request_id).variant == "specified in RFC 4122"
    assert milliseconds(request_id) == NOON * 1000
    assert request_id == request_id.lower()


def test_ids_of_one_millisecond_rise() -> None:
    ids = RequestIds(lambda: NOON)
    made = [ids.new() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert milliseconds(made[-1]) == NOON * 1000


def test_ids_rise_when_the_clock_goes_back() -> None:
    times = iter([NOON, NOON - 1, NOON - 2])
    ids = RequestIds(lambda: next(times))
    made = [ids.new() for _ in range(3)]
    assert made == sorted(set(made))


def test_threads_never_get_the_same_id() -> None:
    ids = RequestIds()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ids.new(), range(5_000)))
    assert len(set(made)) == 5_000


def test_a_clock_that_was_ahead_goes_back_with_the_servers() -> None:
    ids = RequestIds(lambda: NOON)
    ids.new()
    ids.correct(NOON - 3600)
    assert milliseconds(ids.new()) == (NOON - 3600) * 1000


def test_corrections_of_concurrent_calls_leave_the_order_alone() -> None:
    ids = RequestIds(lambda: NOON)
    ids.correct(NOON + 3600)
    first = ids.new()
    ids.correct(NOON + 3599.9)
    assert ids.new() > first
