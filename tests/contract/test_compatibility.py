"""What has been released keeps its meaning: public by its JSON, private by its bytes."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from google.api.annotations_pb2 import http
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

RELEASED = "proto/released/contract.binpb"
Buf = Callable[..., subprocess.CompletedProcess[str]]


def edit(path: Path, pattern: str, replacement: str) -> None:
    before = path.read_text()
    after, count = re.subn(pattern, replacement, before, count=1)
    assert count == 1
    path.write_text(after)


@pytest.fixture
def breaks(buf: Buf, repository: Path, contract_copy: Path) -> Callable[[str], str]:
    """What buf says against a module of the copy; empty when nothing broke."""

    def judge(module: str) -> str:
        against = str(repository / RELEASED)
        done = buf("breaking", f"proto/{module}", "--against", against, folder=contract_copy)
        assert (done.returncode == 0) == (not done.stdout), done.stderr
        return done.stdout

    return judge


@pytest.mark.parametrize("module", ["public", "private"])
def test_the_contract_breaks_nothing_that_was_released(
    breaks: Callable[[str], str], module: str
) -> None:
    assert breaks(module) == ""


def test_a_removed_public_field_is_seen(breaks: Callable[[str], str], contract_copy: Path) -> None:
    file = contract_copy / "proto/public/forebay/query/v1/usage.proto"
    edit(file, r"  int64 output_tokens = 3;\n", "")
    assert "output_tokens" in breaks("public")


def test_a_renamed_public_field_is_seen_as_its_json_changes(
    breaks: Callable[[str], str], contract_copy: Path
) -> None:
    file = contract_copy / "proto/public/forebay/query/v1/usage.proto"
    edit(file, r"int64 output_tokens = 3;", 'int64 output_tokens = 3 [json_name = "written"];')
    assert "written" in breaks("public")


def test_a_renamed_private_field_is_nobodys_business(
    breaks: Callable[[str], str], contract_copy: Path
) -> None:
    file = contract_copy / "proto/private/forebay/records/v1/chunk_set.proto"
    edit(file, r"string chunking = 3;", "string cutting = 3;")
    assert breaks("private") == ""


def test_a_private_field_with_another_number_is_seen(
    breaks: Callable[[str], str], contract_copy: Path
) -> None:
    file = contract_copy / "proto/private/forebay/records/v1/chunk_set.proto"
    edit(file, r"string chunking = 3;", "string chunking = 33;")
    assert '"3"' in breaks("private")


def test_every_released_method_is_still_called_the_same_way(
    repository: Path, public_files: list[FileDescriptor]
) -> None:
    released = FileDescriptorSet.FromString((repository / RELEASED).read_bytes())
    today = {
        method.full_name: method
        for file in public_files
        for service in file.services_by_name.values()
        for method in service.methods
    }
    seen = 0
    for file in released.file:
        for service in file.service:
            for method in service.method:
                current = today[f"{file.package}.{service.name}.{method.name}"]
                assert f".{current.input_type.full_name}" == method.input_type
                assert f".{current.output_type.full_name}" == method.output_type
                assert current.GetOptions().Extensions[http] == method.options.Extensions[http]
                seen += 1
    assert seen > 0
