"""Requests of the contract as HTTP would send them: the reverse of transcoding."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from forebay_server.http.bindings import Binding
from forebay_server.http.path_templates import Variable


@dataclass(frozen=True)
class HttpForm:
    method: str
    path: str
    parameters: list[tuple[str, str]]
    body: Any


def http_form(binding: Binding, message: Message) -> HttpForm:
    """How a client would send that message."""
    path = "".join(
        piece if isinstance(piece, str) else _path_value(message, piece)
        for piece in binding.template.pieces()
    )
    given = MessageToDict(message)
    for variable in binding.template.variables:
        _forget(given, variable.field)
    if binding.body == "*":
        return HttpForm(binding.verb, path, [], given)
    body = None
    if binding.body_field is not None:
        body = given.pop(binding.body_field.json_name, None)
    return HttpForm(binding.verb, path, list(_parameters(given, "")), body)


def _path_value(message: Message, variable: Variable) -> str:
    value: Any = message
    for step in variable.field.split("."):
        value = getattr(value, step)
    return quote(value or _sample(variable), safe="/" if variable.spans_segments else "")


def _sample(variable: Variable) -> str:
    return variable.pattern.replace("**", "x").replace("*", "x")


def _forget(given: dict[str, Any], path: str) -> None:
    *steps, last = path.split(".")
    for step in steps:
        given = given.get(step, {})
    given.pop(last, None)


def _parameters(given: dict[str, Any], prefix: str) -> Any:
    for name, value in given.items():
        if isinstance(value, dict):
            yield from _parameters(value, f"{prefix}{name}.")
        else:
            for each in value if isinstance(value, list) else [value]:
                text = str(each).lower() if isinstance(each, bool) else str(each)
                yield f"{prefix}{name}", text
