import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forebay_benchmarks.child import Child
from forebay_benchmarks.errors import BenchmarkError

HERE = str(Path(__file__).parent)


@pytest.fixture(autouse=True)
def importable_entries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(HERE)
    yield
    sys.modules.pop("entries", None)


def test_a_load_runs_in_a_process_of_its_own_and_ends_with_its_block() -> None:
    from entries import tells_its_process  # noqa: PLC0415

    with Child(tells_its_process, 1) as child:
        assert child.measure(0.1).latencies == (float(child.pid or 0),)
        assert child.pid != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid or 0, 0)


def test_a_closed_loop_counts_failed_calls_and_times_the_others() -> None:
    from entries import every_third_fails  # noqa: PLC0415

    with Child(every_third_fails, 4) as child:
        sample = child.measure(0.3)

    assert set(sample.latencies) == {0.25}
    assert sample.failure == "the third"
    # Every third of all calls; those before and behind the round are not in `latencies`.
    assert 0.2 < sample.failures / (sample.failures + len(sample.latencies)) < 0.5
    assert sample.rate == pytest.approx(len(sample.latencies) / 0.3)


def test_a_child_that_cannot_start_is_told_from_one_that_is_slow() -> None:
    from entries import cannot_start  # noqa: PLC0415

    with pytest.raises(BenchmarkError, match="cannot_start ended"), Child(cannot_start, 0):
        pass
