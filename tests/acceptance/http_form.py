"""How a request of the contract travels over HTTP, read from `google.api.http` alone.

A second reading of google/api/http.proto, which shares nothing with the edge's.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from google.api.annotations_pb2 import http
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

VERBS = ("get", "put", "post", "delete", "patch")
VARIABLE = re.compile(r"\{([a-z_.]+)(?:=[^}]*)?\}")


@dataclass(frozen=True)
class HttpForm:
    """Verb, path, query parameters, and what the JSON body holds; None is no body."""

    verb: str
    path: str
    parameters: list[tuple[str, str]]
    body: Any


def http_form(method: MethodDescriptor, request: Message) -> HttpForm:
    rule = method.GetOptions().Extensions[http]
    [(verb, template)] = [(verb, getattr(rule, verb)) for verb in VERBS if getattr(rule, verb)]
    left = MessageToDict(request, preserving_proto_field_name=True)
    path = VARIABLE.sub(lambda found: quote(_taken(left, found[1]), safe="/"), template)
    if rule.body == "*":
        return HttpForm(verb.upper(), path, [], left)
    body = left.pop(rule.body, None) if rule.body else None
    return HttpForm(verb.upper(), path, list(_parameters(left, "")), body)


def _taken(left: dict[str, Any], path: str) -> str:
    """The value of a field, which is then said by the path and nowhere else."""
    *steps, last = path.split(".")
    for step in steps:
        left = left.get(step, {})
    return str(left.pop(last, ""))


def _parameters(left: dict[str, Any], prefix: str) -> Any:
    for name, value in left.items():
        if isinstance(value, dict):
            yield from _parameters(value, f"{prefix}{name}.")
        else:
            for each in value if isinstance(value, list) else [value]:
                yield f"{prefix}{name}", str(each).lower() if isinstance(each, bool) else str(each)
