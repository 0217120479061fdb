"""The contract as files, as Python, and as descriptors with their comments."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from grpc_tools import protoc

from .reasons import comments_of

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = ("public", "private")


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def buf() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs buf in a folder and returns its exit status and output."""
    program = Path(sys.executable).with_name("buf")

    def run(*arguments: str, folder: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments], cwd=folder, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture
def contract_copy(tmp_path: Path) -> Path:
    """A copy of everything that buf reads, to be broken."""
    shutil.copy(REPOSITORY / "buf.yaml", tmp_path)
    for module in (*MODULES, "vendor"):
        shutil.copytree(REPOSITORY / "proto" / module, tmp_path / "proto" / module)
    return tmp_path


@pytest.fixture(scope="session")
def commented_files(tmp_path_factory: pytest.TempPathFactory) -> list[FileDescriptorProto]:
    """Every file of the contract, with its comments."""
    image = tmp_path_factory.mktemp("image") / "image.binpb"
    folders = [REPOSITORY / "proto" / folder for folder in (*MODULES, "vendor")]
    names = [
        str(path.relative_to(folder)) for folder in folders[:2] for path in folder.rglob("*.proto")
    ]
    arguments = [
        "protoc",
        *(f"-I{folder}" for folder in folders),
        f"-I{files('grpc_tools') / '_proto'}",
        "--include_source_info",
        f"--descriptor_set_out={image}",
        *names,
    ]
    assert protoc.main(arguments) == 0
    return list(FileDescriptorSet.FromString(image.read_bytes()).file)


def _loaded_files(module: str) -> list[FileDescriptor]:
    folder = REPOSITORY / "proto" / module
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.proto"))
    for name in names:
        package = name.rpartition("/")[0].replace("/", ".")
        __import__(package)
    return [Default().FindFileByName(name) for name in names]


@pytest.fixture(scope="session")
def public_files() -> list[FileDescriptor]:
    return _loaded_files("public")


@pytest.fixture(scope="session")
def private_files() -> list[FileDescriptor]:
    return _loaded_files("private")


@pytest.fixture(scope="session")
def message_class() -> Callable[[Descriptor], type[Message]]:
    return message_factory.GetMessageClass


@pytest.fixture(scope="session")
def comments(commented_files: list[FileDescriptorProto]) -> dict[str, str]:
    """The comment of every reason that may be sent."""
    return comments_of(commented_files)
