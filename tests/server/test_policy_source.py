"""The policy is edited while calls come in; whatever happens to the file, one policy counts."""

import asyncio
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forebay.policy.v1 import Visibility
from forebay_kafka.watched_file import MAX_BYTES, ConfigurationInvalid
from forebay_server.governance.policy import Policy
from forebay_server.governance.policy_source import PolicySource

GOOD = """\
tiers:
  enterprise: {clearance: CONFIDENTIAL}
  free: {clearance: PUBLIC}
"""
LOWERED = GOOD.replace("CONFIDENTIAL", "INTERNAL")
BAD = GOOD.replace("CONFIDENTIAL", "SECRET")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def source(path: Path) -> PolicySource:
    return PolicySource(path)


async def settled(source: PolicySource) -> None:
    """New content counts once two looks have found it."""
    await source.look()
    await source.look()


def clearance(policy: Policy) -> Visibility.ValueType:
    return policy.tier("acme", "enterprise").clearance


def edited(path: Path, text: str) -> None:
    path.write_text(text)


def renamed_over(path: Path, text: str) -> None:
    other = path.with_suffix(".new")
    other.write_text(text)
    other.rename(path)


def linked_over(path: Path, text: str) -> None:
    """As Kubernetes changes a mounted file: by a link that is swapped in one step."""
    data = path.with_name("data-2")
    data.mkdir()
    (data / path.name).write_text(text)
    link = path.with_suffix(".link")
    link.symlink_to(data / path.name)
    link.rename(path)


@pytest.mark.parametrize("change", [edited, renamed_over, linked_over])
async def test_a_changed_file_counts_without_a_restart(
    change: Callable[[Path, str], None], path: Path, source: PolicySource
) -> None:
    before = source.current
    change(path, LOWERED)
    await settled(source)
    assert clearance(source.current) == Visibility.VISIBILITY_INTERNAL
    assert source.current.version != before.version
    assert clearance(before) == Visibility.VISIBILITY_CONFIDENTIAL  # calls in flight keep theirs


def removed(path: Path) -> None:
    path.unlink()


def broken(path: Path) -> None:
    path.write_text(BAD)


def half_written(path: Path) -> None:
    path.write_text(GOOD[:-6])


def emptied(path: Path) -> None:
    path.write_text("")


def of_another_encoding(path: Path) -> None:
    path.write_bytes(GOOD.encode("utf-16"))


def huge(path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(MAX_BYTES + 1)


def a_bomb(path: Path) -> None:
    path.write_text("a: &a [x]\nb: &b [*a, *a]\n")


def twice(path: Path) -> None:
    path.write_text(GOOD + GOOD)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def a_link_to_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


SPOILT = [
    (removed, "No such file"),
    (broken, r":2: tiers\.enterprise\.clearance: Input should be"),
    (half_written, ":[34]: not YAML: "),
    (emptied, "the whole: "),
    (of_another_encoding, ":1: not YAML: not UTF-8"),
    (huge, "larger than"),
    (a_bomb, ":2: not YAML: an alias"),
    (twice, ":4: not YAML: a key that stands there twice"),
    (a_folder, "not a regular file"),
    (a_pipe, "not a regular file"),
    (a_device, "not a regular file"),
    (a_link_to_nowhere, "No such file"),
    (a_link_to_itself, "symbolic links"),
]


@pytest.mark.parametrize(("spoil", "said"), SPOILT)
async def test_a_spoilt_file_leaves_the_last_good_policy_and_is_reported_once(
    spoil: Callable[[Path], None],
    said: str,
    path: Path,
    source: PolicySource,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = source.current
    spoil(path)
    with caplog.at_level(logging.WARNING):
        await settled(source)
        await settled(source)
    assert source.current is before
    assert source.problem is not None
    assert source.problem.startswith(str(path))
    assert re.search(said, source.problem)
    assert [record.problem for record in caplog.records] == [source.problem]  # type: ignore[attr-defined]


def mended(path: Path) -> None:
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_text(GOOD)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("spoil", [spoil for spoil, _ in SPOILT])
async def test_looking_at_a_spoilt_file_for_long_costs_no_descriptor(
    spoil: Callable[[Path], None], path: Path, source: PolicySource
) -> None:
    spoil(path)
    await settled(source)
    before = descriptors()
    for _ in range(5):
        await source.look()
    assert descriptors() == before


@pytest.mark.parametrize("spoil", [spoil for spoil, _ in SPOILT])
async def test_a_file_that_is_good_again_counts_again(
    spoil: Callable[[Path], None], path: Path, source: PolicySource
) -> None:
    spoil(path)
    await settled(source)
    mended(path)
    await source.look()
    assert source.problem is None
    edited(path, LOWERED)
    await settled(source)
    assert source.problem is None
    assert clearance(source.current) == Visibility.VISIBILITY_INTERNAL


async def test_a_file_that_is_still_being_written_does_not_count(
    path: Path, source: PolicySource
) -> None:
    # The first half of a file may be a valid file, which says too little.
    for end in (GOOD.index("  free"), len(GOOD)):
        edited(path, LOWERED[:end])
        await source.look()
        assert clearance(source.current) == Visibility.VISIBILITY_CONFIDENTIAL
        assert source.problem is None
    await source.look()
    assert source.current.tier("acme", "free")
    assert clearance(source.current) == Visibility.VISIBILITY_INTERNAL


async def test_a_bad_file_that_was_removed_is_reported_when_it_comes_back(
    path: Path, source: PolicySource
) -> None:
    broken(path)
    await settled(source)
    said = source.problem
    removed(path)
    await source.look()
    assert source.problem != said
    broken(path)
    await settled(source)
    assert source.problem == said


def test_without_a_first_good_policy_there_is_no_edge(path: Path) -> None:
    broken(path)
    with pytest.raises(ConfigurationInvalid, match="clearance"):
        PolicySource(path)


class Said(logging.Handler):
    """What the watch says, as it says it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.put_nowait(record.getMessage())


@pytest.fixture
def said() -> Iterator[Said]:
    handler = Said()
    loggers = [logging.getLogger(f"forebay_{name}") for name in ("server.governance", "kafka")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    yield handler
    for logger in loggers:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(handler)


async def test_the_watch_sees_changes_by_itself_and_outlives_bad_ones(
    path: Path, said: Said
) -> None:
    async with asyncio.timeout(10), PolicySource(path, interval_seconds=0.01) as source:
        broken(path)
        assert "stays in force" in await said.lines.get()
        edited(path, LOWERED)
        assert "counts again" in await said.lines.get()
        assert await said.lines.get() == "a policy is in force"
        assert clearance(source.current) == Visibility.VISIBILITY_INTERNAL
        edited(path, GOOD)
        assert await said.lines.get() == "a policy is in force"
        assert clearance(source.current) == Visibility.VISIBILITY_CONFIDENTIAL


async def test_a_defect_while_looking_is_shown_and_does_not_end_the_watch(
    path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(content: bytes, path: Path) -> Policy:
        raise ZeroDivisionError

    async with asyncio.timeout(10), PolicySource(path, interval_seconds=0.01) as source:
        with monkeypatch.context() as patched:
            patched.setattr(source, "_parse", defect)
            edited(path, LOWERED)
            assert await said.lines.get() == "a file could not be looked at"
            assert source.problem == f"{path}: could not be judged"
        while await said.lines.get() != "a policy is in force":
            pass
        assert source.problem is None


async def test_the_loop_goes_on_while_a_large_policy_is_read(
    path: Path, source: PolicySource
) -> None:
    tenants = "".join(f"  t{n}: {{tiers: {{free: {{top_k: 5}}}}}}\n" for n in range(20_000))
    edited(path, f"{LOWERED}tenants:\n{tenants}")
    reading = asyncio.create_task(settled(source))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 20  # a reader within the loop would leave it one or two
    assert clearance(source.current) == Visibility.VISIBILITY_INTERNAL


@pytest.mark.parametrize("where", ["tiers: {free: {clearance: PUBLIC, limits: {%s: 5}}}"])
@pytest.mark.parametrize("limit", ["requests_per_minute", "concurrent_answers"])
def test_limits_that_several_processes_would_count_apart_are_refused(
    tmp_path: Path, where: str, limit: str
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(where % limit)
    assert PolicySource(path).current.counts_calls
    with pytest.raises(ConfigurationInvalid, match="FOREBAY_LIMITS_URL"):
        PolicySource(path, countable=False)
