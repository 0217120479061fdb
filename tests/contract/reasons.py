"""What the contract says of each reason."""

from google.protobuf.descriptor_pb2 import FileDescriptorProto

PREFIX = "ERROR_REASON_"
ENUM_TYPE, ENUM_VALUE = 5, 2  # field numbers in FileDescriptorProto and EnumDescriptorProto


def comments_of(commented_files: list[FileDescriptorProto]) -> dict[str, str]:
    """The comment of every reason that may be sent."""
    [file] = [each for each in commented_files if each.package == "forebay.errors.v1"]
    by_path = {
        tuple(location.path): location.leading_comments
        for location in file.source_code_info.location
    }
    return {
        value.name.removeprefix(PREFIX): by_path[(ENUM_TYPE, 0, ENUM_VALUE, index)]
        for index, value in enumerate(file.enum_type[0].value)
        if value.number
    }


def example(comment: str) -> str:
    """The ErrorInfo in a comment, as JSON."""
    return next(line.strip() for line in comment.splitlines() if line.strip().startswith("{"))
