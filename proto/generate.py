"""Generate the contract's Python: messages, typed stubs and one facade per package.

Run it as `python proto/generate.py [DESTINATION]`; without a destination the committed files of
`forebay-contract`, `forebay-kafka` and the edge's HTTP are replaced. The output depends on the
proto files and the locked versions of the generators alone.
"""

from __future__ import annotations

import shutil
import sys
from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

PROTO = Path(__file__).resolve().parent
REPOSITORY = PROTO.parent
PUBLIC_HOME = Path("proto/python/src")
PRIVATE_HOME = Path("kafka/src")
DESCRIBED = Path("server/src/forebay_server/http/contract.binpb")
MYPY_PLUGINS = ("mypy", "mypy_grpc")


def sources(module: Path) -> list[str]:
    """Paths of a module's proto files, relative to it, in a stable order."""
    return sorted(str(path.relative_to(module)) for path in module.rglob("*.proto"))


def run_protoc(names: list[str], home: Path, *, services: bool) -> FileDescriptorSet:
    """Write messages, and services where wanted, of `names` below `home`."""
    home.mkdir(parents=True, exist_ok=True)
    image = home / "image.binpb"
    bundled = files("grpc_tools") / "_proto"
    plugins = ["python", "mypy"] + (["grpc_python", "mypy_grpc"] if services else [])
    # Found beside the interpreter, so that the virtual environment need not be activated.
    programs = Path(sys.executable).parent
    arguments = [
        "protoc",
        *(f"--plugin=protoc-gen-{name}={programs / f'protoc-gen-{name}'}" for name in MYPY_PLUGINS),
        *(f"-I{PROTO / folder}" for folder in ("public", "private", "vendor")),
        f"-I{bundled}",
        *(f"--{plugin}_out={home}" for plugin in plugins),
        f"--descriptor_set_out={image}",
        *names,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc refused the contract; see its messages above")
    descriptors = FileDescriptorSet.FromString(image.read_bytes())
    image.unlink()
    return descriptors


def exported_names(file: FileDescriptorProto) -> list[str]:
    """What a module of messages offers: its messages, enums and extensions."""
    parts = (file.message_type, file.enum_type, file.extension)
    return [part.name for group in parts for part in group]


def facade(descriptors: list[FileDescriptorProto]) -> str:
    """The `__init__.py` of one package: every name of its files, none of their modules."""
    lines, names = [], []
    for file in descriptors:
        module = Path(file.name).stem
        offered = exported_names(file)
        if offered:
            lines.append(f"from .{module}_pb2 import {', '.join(sorted(offered))}")
        names += offered
        for service in file.service:
            grpc_names = [
                f"{service.name}Servicer",
                f"{service.name}Stub",
                f"add_{service.name}Servicer_to_server",
            ]
            lines.append(f"from .{module}_pb2_grpc import {', '.join(grpc_names)}")
            names += grpc_names
    listed = "".join(f'    "{name}",\n' for name in sorted(names))
    package = descriptors[0].package
    head = f'"""Everything in the proto package `{package}`. Generated; do not edit."""\n\n'
    return head + "\n".join(lines) + f"\n\n__all__ = [\n{listed}]\n"


def write_facades(image: FileDescriptorSet, home: Path) -> None:
    """Write a facade and a `py.typed` for every package of the image."""
    packages: dict[str, list[FileDescriptorProto]] = {}
    for file in image.file:
        packages.setdefault(file.package, []).append(file)
    for package, descriptors in packages.items():
        folder = home / package.replace(".", "/")
        (folder / "__init__.py").write_text(facade(descriptors))
        (folder / "py.typed").touch()


def drop_empty_services(home: Path) -> None:
    """Remove the gRPC modules of files without a service, which hold nothing."""
    for stub in home.rglob("*_pb2_grpc.py"):
        if "Servicer" not in stub.read_text():
            stub.unlink()
            stub.with_suffix(".pyi").unlink(missing_ok=True)


def write_described(destination: Path) -> None:
    """Write the public contract with its comments, which generated Python leaves out."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    arguments = [
        "protoc",
        *(f"-I{PROTO / folder}" for folder in ("public", "vendor")),
        f"-I{files('grpc_tools') / '_proto'}",
        "--include_source_info",
        f"--descriptor_set_out={destination}",
        *sources(PROTO / "public"),
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc refused the contract; see its messages above")


def generate(destination: Path) -> None:
    """Write all generated files below `destination`, which mirrors the repository."""
    public, private = destination / PUBLIC_HOME, destination / PRIVATE_HOME
    for stale in (public / "forebay", public / "buf", private / "forebay"):
        shutil.rmtree(stale, ignore_errors=True)
    image = run_protoc(sources(PROTO / "public"), public, services=True)
    write_facades(image, public)
    drop_empty_services(public)
    # protovalidate for Python carries these rules for another protobuf runtime only.
    run_protoc(["buf/validate/validate.proto"], public, services=False)
    write_facades(run_protoc(sources(PROTO / "private"), private, services=False), private)
    write_described(destination / DESCRIBED)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY)
