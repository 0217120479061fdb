"""What schemathesis is told of the edge: whose data must not show, and what no schema says.

It loads this file by its path, in a process of its own.
"""

import json
import re
from typing import Any

import schemathesis
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

from forebay_server.composition import SERVICES
from forebay_server.http.bindings import bindings_of

BINDINGS = {each.operation_id: each for each in bindings_of(dict.fromkeys(SERVICES, None))}
TENANTS = ("t-left", "t-right")
CANARY = "canary-of-{}"
# Why a request may be refused that fits the document: by reason, rule, or field and rule.
REASONS = {
    "CURSOR_INVALID",  # it is sealed
    "PAGE_TOKEN_INVALID",  # so is this
    "REQUEST_ID_OUT_OF_WINDOW",  # the time in it is not of now
    "ETAG_MISMATCH",  # somebody has changed the document meanwhile
}
# By the rule alone: the document counts characters, of which one takes up to four bytes.
RULES_OF_ANY_FIELD = {"string.max_bytes"}
RULES = {
    # A value depends on other fields, on a header, on the path or on the caller.
    ("document", "document.content_required"),
    ("document.mime_type", "required"),
    ("document.mime_type", "content_matches"),
    ("document.name", "name_matches"),
    ("document.name", "path.agrees"),
    ("etag", "header.agrees"),
    ("request_id", "header.agrees"),
    ("top_k", "tier.top_k"),
    ("update_mask", "required"),
    ("", "purge.selects"),
    ("", "redrive.selects"),
    # A schema could say it in words that people, or other readers of patterns, do not know.
    ("etag", "uuid"),
    ("update_mask", "update_mask.paths"),
    ("text", "string.visible"),
    ("timeout", "duration.gte_lte"),
    # OpenAPI 3.0 has no patterns for the keys of maps.
    ("document.labels[]", "string.pattern"),
    ("filter[]", "string.pattern"),
}


@schemathesis.check
def nothing_of_another_tenant(_context: Any, response: Any, case: Any) -> None:
    for tenant in TENANTS:
        if case.auth_identity in TENANTS and case.auth_identity != tenant:
            assert CANARY.format(tenant) not in response.text


@schemathesis.hook
def filter_failure(_context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether a failure is one, or only beyond what the document can say."""
    if isinstance(failure, RejectedPositiveData):
        return not is_beyond_schemas(json.loads(response.text))
    if isinstance(failure, AcceptedNegativeData):
        return not is_another_spelling(case)
    return True


def is_beyond_schemas(status: dict[str, Any]) -> bool:
    [info] = [each for each in status["details"] if each["@type"].endswith("ErrorInfo")]
    broken = info.get("metadata", {})
    field = re.sub(r'\[".*"\]', "[]", broken.get("field", ""), flags=re.DOTALL)
    rule = broken.get("rule", "")
    if info["reason"] in REASONS or rule in RULES_OF_ANY_FIELD:
        return True
    return (field.removeprefix("query."), rule) in RULES


def is_another_spelling(case: Any) -> bool:
    """Whether one part of a request is wrong, and says in protobuf's JSON what would be right.

    The document has one spelling of each value. Protobuf reads null for what is absent, enums by
    their numbers, numbers as text, and members by the names of the contract too.
    """
    wrong = [where.name for where, part in case.meta.components.items() if part.mode.is_negative]
    if wrong == ["BODY"]:
        return isinstance(case.body, dict) and is_right_body(case)
    return wrong == ["QUERY"] and all(is_right_parameter(each, case) for each in case.query)


def is_right_body(case: Any) -> bool:
    message = body_of(case.operation.definition.raw["operationId"])
    try:
        ParseDict(case.body, message)
    except ParseError:
        return False
    body = case.operation.get_body_for_media_type(case.media_type)
    return bool(body.is_valid(MessageToDict(message)))


def is_right_parameter(name: str, case: Any) -> bool:
    parameter, value = case.operation.query.get(name), case.query[name]
    if parameter is None:
        return False
    names = parameter.raw_schema.get("enum", ())
    is_number = str(value).isdecimal() and int(value) < len(names)
    return is_number or bool(parameter.is_valid(value))


def body_of(operation_id: str) -> Message:
    binding = BINDINGS[operation_id]
    field = binding.body_field
    kind = binding.method.input_type if field is None else field.message_type
    assert kind is not None
    message: Message = GetMessageClass(kind)()
    return message
