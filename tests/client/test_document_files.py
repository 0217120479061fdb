import re
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.client.command.document_files import (
    SameId,
    UnknownKind,
    document_id,
    find_files,
)

PATHS = st.lists(
    st.text("aB-_ é.1", min_size=1, max_size=30).filter(lambda part: part.strip(". ") == part),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("visitor-guide.md", r"visitor-guide"),
        ("Visitor Guide.md", r"visitor-guide-[0-9a-f]{10}"),
        ("visitor-guide.txt", r"visitor-guide-[0-9a-f]{10}"),
        ("2024/report.md", r"2024-report-[0-9a-f]{10}"),
        ("水力.md", r"[0-9a-f]{10}"),
        ("a" * 63 + ".md", r"a{63}"),
        ("a" * 64 + ".md", r"a{52}-[0-9a-f]{10}"),
    ],
)
def test_an_id_reads_like_its_path(path: str, expected: str) -> None:
    assert re.fullmatch(expected, document_id(PurePosixPath(path)))


@given(PATHS, PATHS, st.sampled_from([".md", ".txt"]), st.sampled_from([".md", ".txt"]))
def test_two_paths_never_share_an_id(
    first: list[str], second: list[str], one: str, other: str
) -> None:
    paths = {PurePosixPath(*first[:-1], first[-1] + one)}
    paths.add(PurePosixPath(*second[:-1], second[-1] + other))
    ids = {document_id(path) for path in paths}
    assert len(ids) == len(paths)
    assert all(re.fullmatch(r"[a-z0-9-]{1,63}", each) for each in ids)


def test_a_folder_gives_what_it_holds_without_hidden_files(tmp_path: Path) -> None:
    for name in ("a.md", "sub/b.HTML", "sub/c.png", ".hidden/d.md", ".e.md"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("# A title #\n")
    found = find_files([tmp_path])
    assert [file.path.name for file in found.files] == ["a.md", "b.HTML"]
    assert [file.mime_type for file in found.files] == ["text/markdown", "text/html"]
    assert [path.name for path in found.skipped] == ["c.png"]
    assert found.files[0].title(b"\n# A title #\r\ntext") == "A title"


def test_a_file_of_no_known_kind_is_refused_when_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(UnknownKind, match=r"a\.png"):
        find_files([tmp_path / "a.png"])


def test_files_of_one_name_from_two_folders_are_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.md").touch()
    with pytest.raises(SameId, match="would both become a"):
        find_files([tmp_path / "one", tmp_path / "two"])


def test_a_file_that_is_named_twice_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.md").touch()
    assert len(find_files([tmp_path, tmp_path / "a.md"]).files) == 1
