"""How large a body may be, as the contract's field rules say it."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from forebay_server.http.contract_options import field_rules

LEAST_BYTES = 1024 * 1024  # room for many small fields, with every character escaped
# Many libraries escape all that is not ASCII: `é` takes 6 bytes for 2, and nothing that people
# write takes more. Base64 takes 4 for 3.
FACTOR = 3


def body_limit(request: Descriptor) -> int:
    """Most bytes of a JSON body: three times the largest field that the contract allows."""
    return LEAST_BYTES + FACTOR * _largest(request, frozenset())


def _largest(message: Descriptor, above: frozenset[Descriptor]) -> int:
    if message in above:
        return 0
    above |= {message}
    return max((_field_bytes(field, above) for field in message.fields), default=0)


def _field_bytes(field: FieldDescriptor, above: frozenset[Descriptor]) -> int:
    if field.message_type is not None:
        return _largest(field.message_type, above)
    rules = field_rules(field)
    return max(rules.string.max_bytes, rules.bytes.max_len)
