"""Path templates as OpenAPI writes them: one parameter per segment, named as resources are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from forebay_server.http.bindings import Binding
from forebay_server.http.contract_options import field_rules, resource_patterns
from forebay_server.http.path_templates import Variable

PATTERN_SEGMENT = re.compile(r"([a-zA-Z]+)/\{([a-z_]+)\}")
MEMBER_MATCHES = re.compile(r"this\.(\w+)\.matches\('(\^[^'\\]*\$)'\)")


@dataclass(frozen=True)
class OpenApiPath:
    """A path such as `/v1/queries/{query}:stream`, and its parameters."""

    text: str
    parameters: list[dict[str, Any]]


def path_of(binding: Binding) -> OpenApiPath:
    """The binding's path."""
    names = _resource_names(binding.method.input_type) | _resource_names(binding.method.output_type)
    text, parameters = "", []
    for piece in binding.template.pieces():
        if isinstance(piece, str):
            text += piece
            continue
        pattern = _pattern(binding.method.input_type, piece.field)
        shown, found = _variable(piece, pattern, names)
        text += shown
        parameters += found
    return OpenApiPath(text, parameters)


def _variable(
    variable: Variable, pattern: str, names: dict[str, str]
) -> tuple[str, list[dict[str, Any]]]:
    segments = variable.pattern.split("/")
    rules = pattern.removeprefix("^").removesuffix("$").split("/")
    parameters, shown = [], []
    for number, segment in enumerate(segments):
        if "*" not in segment:
            shown.append(segment)
            continue
        before = segments[number - 1] if number else ""
        name = names.get(before) or f"{variable.field.replace('.', '_')}{number or ''}"
        shown.append(f"{{{name}}}")
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if segment == "**":
            schema = {"type": "string", "format": "path"}
        elif len(rules) == len(segments):
            schema["pattern"] = f"^{rules[number]}$"
        parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    return "/".join(shown), parameters


def _resource_names(message: Descriptor) -> dict[str, str]:
    """Names of ids by the segment in front of them, from google.api.resource of all the files."""
    return {
        collection: name
        for file in (message.file, *message.file.dependencies)
        for other in file.message_types_by_name.values()
        for pattern in resource_patterns(other)
        for collection, name in PATTERN_SEGMENT.findall(pattern)
    }


def _pattern(message: Descriptor, path: str) -> str:
    """The pattern of a field, of its own or by a rule of the message that it is in."""
    *steps, last = path.split(".")
    outer = ""
    for step in steps:
        owner = message.fields_by_name[step]
        assert owner.message_type is not None  # noqa: S101 only messages have fields
        message, outer = owner.message_type, _member_pattern(owner, last)
    own: str = field_rules(message.fields_by_name[last]).string.pattern
    return own or outer


def _member_pattern(field: FieldDescriptor, member: str) -> str:
    """What a rule in CEL says: `this.name.matches('^queries/[a-z]+$')`."""
    for rule in field_rules(field).cel:
        found = MEMBER_MATCHES.fullmatch(rule.expression)
        if found and found[1] == member:
            return found[2]
    return ""
