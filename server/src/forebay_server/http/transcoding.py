"""From path, query and body to a request message (google/api/http.proto, AIP-127)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.api.field_behavior_pb2 import FieldBehavior
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from forebay_server.errors import FieldInvalid, Violation
from forebay_server.http.bindings import Binding
from forebay_server.http.contract_options import behaviours, is_required
from forebay_server.http.field_values import set_word
from forebay_server.http.json_message import descriptor_of, field_of, fill_field, fill_message
from forebay_server.http.query_parameters import fill_from_query

MASK = "update_mask"
NOT_MASKED = frozenset({"name", "etag"})  # they say which resource is meant, not what changes
NOT_WRITTEN = frozenset(
    {FieldBehavior.OUTPUT_ONLY, FieldBehavior.IDENTIFIER, FieldBehavior.IMMUTABLE}
)


class Transcoder:
    """Makes request messages for one binding."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._request = GetMessageClass(binding.method.input_type)
        self._taken = frozenset(
            [binding.body] * bool(binding.body)
            + [variable.field for variable in binding.template.variables]
        )

    @property
    def takes_body(self) -> bool:
        """Whether the contract reads a body at all."""
        return bool(self._binding.body)

    def request(self, variables: Mapping[str, str], query: bytes, body: Any) -> Message:  # noqa: ANN401
        """The message of a call; `body` is the parsed JSON, None for an empty one.

        Raises FieldInvalid for what the contract does not know, and for what is said twice and
        differently.
        """
        message = self._request()
        field = self._binding.body_field
        if body is not None:
            self._fill_from_body(message, body)
        elif field is not None and is_required(field):
            # A variable of the path may lie in it: then nobody else would miss the rest.
            raise FieldInvalid(Violation(field.name, "required", "value is required"))
        fill_from_query(message, query, self._taken)
        for path, word in variables.items():
            _bind(message, path, word)
        self._imply_mask(message, body)
        return message

    def _fill_from_body(self, message: Message, body: Any) -> None:  # noqa: ANN401
        field = self._binding.body_field
        if field is None:
            fill_message(message, body)
        else:
            fill_field(message, field, body, field.name)

    def _imply_mask(self, message: Message, body: Any) -> None:  # noqa: ANN401
        """AIP-134: a patch without a mask changes what it holds."""
        field = self._binding.body_field
        if self._binding.verb != "PATCH" or field is None or not isinstance(body, dict):
            return
        mask = message.DESCRIPTOR.fields_by_name.get(MASK)
        if mask is None or mask.message_type is not FieldMask.DESCRIPTOR or message.HasField(MASK):
            return
        assert field.message_type is not None  # noqa: S101 its JSON was an object
        named = _present(field.message_type, body)
        paths = [each.name for each in named if each.name not in NOT_MASKED and _is_written(each)]
        if paths:
            getattr(message, MASK).paths.extend(paths)


def _present(message: Descriptor, body: Mapping[str, Any]) -> list[FieldDescriptor]:
    found = [field_of(message, name) for name, value in body.items() if value is not None]
    return [field for field in found if field is not None]


def _is_written(field: FieldDescriptor) -> bool:
    return not NOT_WRITTEN & behaviours(field)


def _bind(message: Message, path: str, word: str) -> None:
    *steps, last = path.split(".")
    owner = message
    for step in steps:
        owner = getattr(owner, step)
    field = descriptor_of(owner).fields_by_name[last]
    given = getattr(owner, field.name)
    owner.ClearField(last)
    set_word(owner, field, word, path)
    if given not in (field.default_value, getattr(owner, field.name)):
        raise FieldInvalid(Violation(path, "path.agrees", "must be what the path says, or absent"))
