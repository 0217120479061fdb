"""The files of this repository as git would track them."""

import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Files that are tracked, or would be once they are added."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (REPOSITORY / name for name in listing.stdout.split("\0") if name)
    found = [path for path in paths if path.is_file()]
    assert len(found) > 100
    return found


@pytest.fixture(scope="session")
def written(tracked: list[Path]) -> list[Path]:
    """Python that people write: not what is generated from the contract."""
    generated = [
        REPOSITORY / "proto/python/src",
        REPOSITORY / "kafka/src/forebay",
    ]
    return [
        path
        for path in tracked
        if path.suffix == ".py" and not any(path.is_relative_to(home) for home in generated)
    ]
