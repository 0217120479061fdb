"""How HTTP reaches a method, as its `google.api.http` option says it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor

from forebay_server.http.contract_options import http_rule
from forebay_server.http.path_templates import PathTemplate, TemplateInvalid, Variable

WHOLE = "*"


@dataclass(frozen=True)
class Binding:
    """One way to call a method: HTTP method, path, and which field is the body.

    `body` is a field's name, `*` for all fields that are not in the path, or empty for no body;
    `response_body` a field of the response, or empty for the whole.
    """

    method: MethodDescriptor
    verb: str
    template: PathTemplate
    body: str
    response_body: str
    number: int

    @property
    def operation_id(self) -> str:
        """`QueryService.GetQuery`; further ways to the same method carry a number."""
        name = f"{self.method.containing_service.name}.{self.method.name}"
        return f"{name}.{self.number}" if self.number else name

    @property
    def body_field(self) -> FieldDescriptor | None:
        """The field that is the body, if it is one."""
        if self.body in ("", WHOLE):
            return None
        field: FieldDescriptor = self.method.input_type.fields_by_name[self.body]
        return field


def bindings_of(services: Iterable[ServiceDescriptor]) -> list[Binding]:
    """All bindings of all methods that HTTP reaches, those with more literal text first.

    Routers take the first path that fits: `/v1/queries/{query}` must come behind
    `/v1/queries/{query}:stream`. Raises TemplateInvalid.
    """
    found = [
        binding for service in services for method in service.methods for binding in _all(method)
    ]
    return sorted(found, key=_specificity)


def stream_of(binding: Binding, bindings: Iterable[Binding]) -> Binding | None:
    """The method that streams what becomes of the resource that a method gets, if any.

    It has the same path with a verb behind it; there is something to wait for where the resource
    has a state (AIP-216).
    """
    method = binding.method
    if binding.verb != "GET" or "state" not in method.output_type.fields_by_name:
        return None
    for other in bindings:
        verb = f":{other.template.verb}"
        same = other.template.template == f"{binding.template.template}{verb}"
        if same and other.method.server_streaming:
            return other
    return None


def _all(method: MethodDescriptor) -> Iterator[Binding]:
    rule = http_rule(method)
    # HTTP has no streams of requests.
    if method.client_streaming or rule is None:
        return
    for number, each in enumerate((rule, *rule.additional_bindings)):
        yield _binding(method, each, number)


def _binding(method: MethodDescriptor, rule: HttpRule, number: int) -> Binding:
    kind = rule.WhichOneof("pattern")
    if kind is None:
        raise TemplateInvalid(method.full_name)
    custom = kind == "custom"
    verb = rule.custom.kind if custom else kind
    path = rule.custom.path if custom else getattr(rule, kind)
    template = PathTemplate(path)
    return Binding(method, verb.upper(), template, rule.body, rule.response_body, number)


def _specificity(binding: Binding) -> tuple[bool, bool, int, str]:
    pieces = binding.template.pieces()
    patterns = [piece.pattern if isinstance(piece, Variable) else piece for piece in pieces]
    path = "".join(patterns)
    literal = len(re.sub(r"\*+", "", path))
    return ("**" in path, not binding.template.verb, -literal, binding.template.template)
