"""What a request must be, as the contract's field rules say it."""

from __future__ import annotations

from google.protobuf.message import Message
from protovalidate import Validator
from protovalidate import Violation as BrokenRule

from forebay_server.errors import DocumentTooLarge, FieldInvalid, Violation

MAX_VIOLATIONS = 10  # a status travels in a trailer, of which clients take 8 KiB
MAX_PATH_CHARACTERS = 128  # a map's key is the client's own text
SIZE_RULES = frozenset({"string.max_bytes", "bytes.max_len"})
CONTENT_FIELDS = ("document.text", "document.raw")


class RequestValidator:
    """Judges messages by their `buf.validate` rules."""

    def __init__(self) -> None:
        self._validator = Validator()

    def validate(self, message: Message) -> None:
        """Raise FieldInvalid, or DocumentTooLarge for content over the contract's limit."""
        broken = self._validator.collect_violations(message)
        if not broken:
            return
        for rule in broken:
            if rule.proto.rule_id in SIZE_RULES and _path(rule).endswith(CONTENT_FIELDS):
                raise DocumentTooLarge(_violation(rule), limit=int(rule.rule_value))
        raise FieldInvalid(*(_violation(rule) for rule in broken[:MAX_VIOLATIONS]))


def _violation(broken: BrokenRule) -> Violation:
    return Violation(
        field=_path(broken)[:MAX_PATH_CHARACTERS],
        rule=broken.proto.rule_id,
        description=broken.proto.message or broken.proto.rule_id,
    )


def _path(broken: BrokenRule) -> str:
    """The field as text: `document.labels["x"]`, `collections[1]`."""
    path = broken.proto.field
    steps = [] if path is None else path.elements
    return ".".join(f"{step.field_name}{_subscript(step.subscript)}" for step in steps)


def _subscript(subscript: object) -> str:
    value = getattr(subscript, "value", None)
    if value is None:
        return ""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'["{escaped}"]'
    return f"[{str(value).lower()}]"
