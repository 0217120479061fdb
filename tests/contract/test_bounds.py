"""What a request may hold is bounded in the contract itself."""

from collections.abc import Iterator

from buf.validate.validate_pb2 import field as rules_of_field
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

OUTPUT_ONLY_OF_A_RESOURCE = "the server fills it in and ignores what a request says"
UNBOUNDED = {
    "forebay.ingest.v1.Document.name": OUTPUT_ONLY_OF_A_RESOURCE,
    "forebay.ingest.v1.Document.superseded_by": OUTPUT_ONLY_OF_A_RESOURCE,
}
SIZED = frozenset({"max_bytes", "max_len", "len", "len_bytes", "in", "const", "uuid"})


def request_fields(files: list[FileDescriptor]) -> Iterator[FieldDescriptor]:
    """Every field of the contract's own messages that some request reaches."""
    waiting = [
        method.input_type
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    ]
    seen: set[str] = set()
    while waiting:
        message: Descriptor = waiting.pop()
        if message.full_name in seen or not message.full_name.startswith("forebay."):
            continue
        seen.add(message.full_name)
        for field in message.fields:
            yield field
            entry = field.message_type
            if entry is not None and not entry.GetOptions().map_entry:
                waiting.append(entry)


def is_sized(rules: object) -> bool:
    """Whether string or bytes rules limit the length; a pattern without `*`, `+` or `{n,}` does."""
    names = {descriptor.name for descriptor, _ in rules.ListFields()}  # type: ignore[attr-defined]
    if names & SIZED:
        return True
    pattern = getattr(rules, "pattern", "")
    anchored = pattern.startswith("^") and pattern.endswith("$")
    return anchored and not any(mark in pattern for mark in ("*", "+", ",}"))


def is_bounded(field: FieldDescriptor) -> bool:
    rules = field.GetOptions().Extensions[rules_of_field]
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        sides = (rules.map.keys.string, rules.map.values.string)
        return rules.map.HasField("max_pairs") and all(is_sized(side) for side in sides)
    if field.is_repeated:
        items = rules.repeated.items
        return rules.repeated.HasField("max_items") and is_sized(items.string)
    if field.type == FieldDescriptor.TYPE_STRING:
        return is_sized(rules.string)
    return is_sized(rules.bytes)


def needs_bound(field: FieldDescriptor) -> bool:
    return field.is_repeated or field.type in {
        FieldDescriptor.TYPE_STRING,
        FieldDescriptor.TYPE_BYTES,
    }


def test_every_text_and_every_list_of_a_request_has_a_bound_or_a_reason(
    public_files: list[FileDescriptor],
) -> None:
    unbounded = {
        field.full_name
        for field in request_fields(public_files)
        if needs_bound(field) and not is_bounded(field)
    }
    assert unbounded == set(UNBOUNDED)


def test_every_number_of_a_request_has_a_range(public_files: list[FileDescriptor]) -> None:
    kinds = {FieldDescriptor.TYPE_INT32: "int32", FieldDescriptor.TYPE_INT64: "int64"}
    for field in request_fields(public_files):
        if field.type in kinds:
            rules = field.GetOptions().Extensions[rules_of_field]
            assert getattr(rules, kinds[field.type]).ListFields(), field.full_name
