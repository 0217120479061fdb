"""What is published works for somebody who has nothing but the package."""

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

DISTRIBUTIONS = {
    "forebay": "forebay.client",
    "forebay_contract": "forebay.query.v1, forebay.ingest.v1, forebay.policy.v1, forebay.errors.v1",
    "forebay_kafka": "forebay_kafka.publisher, forebay_kafka.tail, forebay.records.v1",
    "forebay_postgres": "forebay_postgres",
    "forebay_server": "forebay_server.services.query_service",
    "forebay_workers": "forebay_workers.record_loop, forebay_workers.models",
    "forebay_standalone": "forebay_standalone.system",
    "forebay_benchmarks": "forebay_benchmarks",
}


@pytest.fixture(scope="module")
def uv(repository: Path) -> str:
    own = repository / ".uv/bin/uv"
    found = str(own) if own.exists() else shutil.which("uv")
    assert found, "no uv: run `make setup`"
    return found


@pytest.fixture(scope="module")
def wheels(uv: str, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("wheels")
    command = [uv, "build", "--quiet", "--all-packages", "--wheel", "--out-dir", folder]
    subprocess.run(command, cwd=repository, check=True)
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def elsewhere(
    uv: str, repository: Path, wheels: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A Python that has the wheels and what they ask for, as the lock pins it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    python = folder / "venv/bin/python"
    pins = folder / "pins.txt"
    export = [uv, "export", "--quiet", "--frozen", "--no-hashes", "--no-emit-workspace"]
    subprocess.run([*export, "--no-dev", "--output-file", pins], cwd=repository, check=True)
    subprocess.run(
        [uv, "venv", "--quiet", "--python", sys.executable, python.parents[1]], check=True
    )
    install = [uv, "pip", "install", "--quiet", "--python", python, "--constraint", pins]
    subprocess.run([*install, *wheels], cwd=folder, check=True)
    return python


def test_every_distribution_builds_a_wheel(wheels: list[Path]) -> None:
    assert {wheel.name.split("-")[0] for wheel in wheels} == set(DISTRIBUTIONS)


@pytest.mark.timeout(300)  # the first one installs all of them
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_wheel_imports_outside_the_workspace(elsewhere: Path, distribution: str) -> None:
    modules = DISTRIBUTIONS[distribution]
    program = f"import {modules}, sys; print(sys.modules[{modules.split(', ')[0]!r}].__file__)"
    done = subprocess.run(
        [elsewhere, "-I", "-c", program],
        cwd=elsewhere.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(elsewhere.parents[1])


def test_no_two_wheels_bring_the_same_file(wheels: list[Path]) -> None:
    names = [name for wheel in wheels for name in ZipFile(wheel).namelist()]
    assert len(set(names)) == len(names)
