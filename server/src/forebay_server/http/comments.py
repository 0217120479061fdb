"""What the contract says about itself: comments, which generated Python does not carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

IMAGE = "contract.binpb"
"""The contract's files with their source info, as protoc's --include_source_info writes them."""


def contract_comments() -> Mapping[str, str]:
    """Leading comments by full name, as in `forebay.query.v1.Query.name`."""
    image = FileDescriptorSet.FromString(files(__package__).joinpath(IMAGE).read_bytes())
    return {name: text for file in image.file for name, text in _of_file(file)}


def _of_file(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    comments = {
        tuple(location.path): _joined(location.leading_comments)
        for location in file.source_code_info.location
        if location.leading_comments
    }
    for path, name in _names(file):
        if path in comments:
            yield name, comments[path]


def _names(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    """Paths, as in descriptor.proto's SourceCodeInfo, and full names of what they stand for."""
    for number, message in enumerate(file.message_type):
        yield from _of_message(message, (4, number), file.package)
    for number, enum in enumerate(file.enum_type):
        yield from _of_enum(enum, (5, number), file.package)
    for number, service in enumerate(file.service):
        yield (6, number), f"{file.package}.{service.name}"
        for place, method in enumerate(service.method):
            yield (6, number, 2, place), f"{file.package}.{service.name}.{method.name}"


def _of_message(
    message: DescriptorProto, path: tuple[int, ...], scope: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{scope}.{message.name}"
    yield path, name
    for number, field in enumerate(message.field):
        yield (*path, 2, number), f"{name}.{field.name}"
    for number, nested in enumerate(message.nested_type):
        yield from _of_message(nested, (*path, 3, number), name)
    for number, enum in enumerate(message.enum_type):
        yield from _of_enum(enum, (*path, 4, number), name)


def _of_enum(
    enum: EnumDescriptorProto, path: tuple[int, ...], scope: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, f"{scope}.{enum.name}"
    for number, value in enumerate(enum.value):
        yield (*path, 2, number), f"{scope}.{enum.name}.{value.name}"


def _joined(comment: str) -> str:
    return " ".join(comment.split())
