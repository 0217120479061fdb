"""What holds for every file of this repository."""

import ast
import re
from pathlib import Path

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
VAGUE_NAMES = {"common", "utils", "util", "helpers", "helper", "manager", "base", "misc"}
# In pieces, so that this file does not hold what it looks for.
MACHINE_PATH = re.compile(
    "|".join(("/wo" + "rk/", "/ro" + "ot/", r"/ho" + r"me/\w", r"/Us" + r"ers/\w"))
)
BINARY = {".binpb", ".pdf", ".png", ".jpg", ".gz", ".zip", ".docx", ".ico", ".woff2"}


def test_no_file_is_too_long_to_be_read(written: list[Path]) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in written}
    assert {path: count for path, count in lengths.items() if count > MAX_FILE_LINES} == {}


def test_no_function_is_too_long_to_be_read(written: list[Path]) -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path in written
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_every_module_is_named_after_what_it_holds(written: list[Path]) -> None:
    names = {path: {path.stem, path.parent.name} for path in written}
    assert [path for path, parts in names.items() if parts & VAGUE_NAMES] == []


def test_no_file_knows_the_machine_that_it_was_written_on(tracked: list[Path]) -> None:
    texts = (path for path in tracked if path.suffix not in BINARY)
    assert [path for path in texts if MACHINE_PATH.search(path.read_text(errors="replace"))] == []


def test_the_shared_namespace_belongs_to_no_distribution(repository: Path) -> None:
    homes = [*repository.glob("*/src/forebay"), *repository.glob("*/*/src/forebay")]
    assert len(homes) == 3
    for home in homes:
        assert not (home / "__init__.py").exists()
        for version in home.glob("*/v1"):
            assert not (version.parent / "__init__.py").exists()
            assert (version / "__init__.py").exists()


def test_every_other_package_says_that_it_is_one(repository: Path, written: list[Path]) -> None:
    namespaces = {home for pattern in ("*/src", "*/*/src") for home in repository.glob(pattern)}
    namespaces |= {home / "forebay" for home in namespaces}
    packages = {
        path.parent
        for path in written
        if any(path.is_relative_to(home) for home in namespaces) and path.parent not in namespaces
    }
    assert packages
    assert [folder for folder in packages if not (folder / "__init__.py").exists()] == []


def test_every_typed_distribution_says_so(repository: Path) -> None:
    for home in [
        *repository.glob("*/src/forebay_*"),
        repository / "clients/python/src/forebay/client",
    ]:
        assert (home / "py.typed").exists(), home


def test_nothing_is_left_to_be_done_some_day(written: list[Path]) -> None:
    marks = re.compile(
        "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3 + r"\b", "NotImplemented" + "Error"))
    )
    assert [path for path in written if marks.search(path.read_text())] == []
