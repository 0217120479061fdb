"""Style of the proto files, and the Python that is generated from them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

GENERATED = ("proto/python/src/forebay", "proto/python/src/buf", "kafka/src/forebay")
Buf = Callable[..., subprocess.CompletedProcess[str]]


def test_the_contract_keeps_the_rules_of_its_style(buf: Buf) -> None:
    done = buf("lint")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", ["public", "private"])
def test_the_contract_is_formatted(buf: Buf, module: str) -> None:
    done = buf("format", "--diff", "--exit-code", f"proto/{module}")
    assert done.returncode == 0, done.stdout


def test_a_field_without_a_comment_is_refused(buf: Buf, contract_copy: Path) -> None:
    usage = contract_copy / "proto/public/forebay/query/v1/usage.proto"
    usage.write_text(usage.read_text().replace("  // Tokens read by the model.\n", ""))
    done = buf("lint", folder=contract_copy)
    assert done.returncode != 0
    assert "input_tokens" in done.stdout


def _contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for folder in GENERATED
        for path in (root / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_committed_python_is_what_the_generator_makes_of_the_contract(
    repository: Path, tmp_path: Path
) -> None:
    generator = repository / "proto/generate.py"
    subprocess.run([sys.executable, generator, tmp_path], check=True)
    committed, fresh = _contents(repository), _contents(tmp_path)
    assert committed.keys() == fresh.keys()
    stale = [name for name, content in fresh.items() if committed[name] != content]
    assert stale == []
