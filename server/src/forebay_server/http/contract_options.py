"""The options of the contract's descriptors that HTTP goes by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from buf.validate import validate_pb2
from google.api.annotations_pb2 import http
from google.api.field_behavior_pb2 import FieldBehavior, field_behavior
from google.api.http_pb2 import HttpRule
from google.api.resource_pb2 import ResourceDescriptor, resource
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor


def http_rule(method: MethodDescriptor) -> HttpRule | None:
    """The method's google.api.http, if it has one."""
    options: Any = method.GetOptions()
    return cast("HttpRule", options.Extensions[http]) if options.HasExtension(http) else None


def field_rules(field: FieldDescriptor) -> validate_pb2.FieldRules:
    """The field's buf.validate rules, empty where it has none."""
    return field.GetOptions().Extensions[validate_pb2.field]


def message_rules(message: Descriptor) -> validate_pb2.MessageRules:
    """The message's buf.validate rules, empty where it has none."""
    options: Any = message.GetOptions()
    return cast("validate_pb2.MessageRules", options.Extensions[validate_pb2.message])


def behaviours(field: FieldDescriptor) -> set[int]:
    """The field's google.api.field_behavior."""
    options: Any = field.GetOptions()
    return set(options.Extensions[field_behavior])


def is_required(field: FieldDescriptor) -> bool:
    """Whether a request must have the field."""
    return FieldBehavior.REQUIRED in behaviours(field) or field_rules(field).required


def resource_patterns(message: Descriptor) -> Sequence[str]:
    """The patterns of the message's google.api.resource, such as `queries/{query}`."""
    options: Any = message.GetOptions()
    return cast("ResourceDescriptor", options.Extensions[resource]).pattern
