"""google/api/http.proto and AIP-127, rule by rule, on a contract made for it."""

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from forebay_server.errors import FieldInvalid
from forebay_server.http.bindings import Binding, bindings_of
from forebay_server.http.json_text import MAX_DEPTH, MAX_VALUES, parse_json
from forebay_server.http.path_templates import PathTemplate, TemplateInvalid, routable
from forebay_server.http.transcoding import Transcoder

from .http_contract import contract

BINDINGS = {b.operation_id: b for b in bindings_of(contract().services_by_name.values())}


def binding(method: str) -> Binding:
    return BINDINGS[f"ShelfService.{method}"]


def request(method: str, path: str = "", query: str = "", body: Any = None) -> Message:
    wanted = binding(method)
    variables = wanted.template.match(routable(path.encode())) if path else {}
    assert variables is not None
    return Transcoder(wanted).request(variables, query.encode(), body)


def everything(query: str = "", body: Any = None) -> dict[str, Any]:
    method = "FindBooks" if body is None else "PutEverything"
    return dict(MessageToDict(request(method, "", query, body)))


def broken(method: str, path: str = "", query: str = "", body: Any = None) -> tuple[str, str]:
    with pytest.raises(FieldInvalid) as refused:
        request(method, path, query, body)
    violation = refused.value.violations[0]
    return violation.field, violation.rule


@pytest.mark.parametrize(
    ("template", "path", "variables"),
    [
        ("/v1/books", "/v1/books", {}),
        ("/v1/books", "/v1/books/", None),
        ("/v1/books", "/v1//books", None),
        ("/v1/books", "/V1/books", None),
        ("/v1/books", "/v1/b%6Foks", {}),
        ("/v1/{id}", "/v1/a", {"id": "a"}),
        ("/v1/{id=*}", "/v1/a", {"id": "a"}),
        ("/v1/{id}", "/v1/", None),
        ("/v1/{id}", "/v1/a/b", None),
        ("/v1/{id}", "/v1/a%2Fb", {"id": "a/b"}),
        ("/v1/{id}", "/v1/a%2fb%25", {"id": "a/b%"}),
        ("/v1/{id}", "/v1/%C3%A9%20x", {"id": "é x"}),
        ("/v1/{id}", "/v1/a+b", {"id": "a+b"}),
        ("/v1/{id}", "/v1/a%3Ago", {"id": "a:go"}),
        ("/v1/{id}", "/v1/a:go", None),
        ("/v1/{id}:go", "/v1/a:go", {"id": "a"}),
        ("/v1/{id}:go", "/v1/a:GO", None),
        ("/v1/{id}:go", "/v1/a%3Ago", None),
        ("/v1/books:go", "/v1/books:go", {}),
        ("/v1/{name=shelves/*}", "/v1/shelves/a", {"name": "shelves/a"}),
        ("/v1/{name=shelves/*}", "/v1/shelves%2Fa", None),
        ("/v1/{name=shelves/*}", "/v1/shelves/a%2Fb%41", {"name": "shelves/a%2FbA"}),
        ("/v1/{name=shelves/*}", "/v1/shelves/a/b", None),
        ("/v1/{name=shelves/*/books/*}", "/v1/shelves/a/books/b", {"name": "shelves/a/books/b"}),
        ("/v1/{name=shelves/**}", "/v1/shelves/a/b/c", {"name": "shelves/a/b/c"}),
        ("/v1/{name=**}:go", "/v1/a/b:go", {"name": "a/b"}),
        ("/v1/{a}/x/{b.c}", "/v1/1/x/2", {"a": "1", "b.c": "2"}),
        ("/v1/*/x", "/v1/any/x", {}),
        ("/v1/a.b", "/v1/axb", None),
        ("/v1/{id}", "/v1/a?b", {"id": "a?b"}),
    ],
)
def test_a_path_is_matched_as_it_was_sent(
    template: str, path: str, variables: dict[str, str] | None
) -> None:
    assert PathTemplate(template).match(routable(path.encode())) == variables


@pytest.mark.parametrize("path", ["/v1/%", "/v1/%4", "/v1/%zz"])
def test_a_broken_escape_in_a_path_is_refused(path: str) -> None:
    with pytest.raises(FieldInvalid, match="broken escape"):
        routable(path.encode())


def test_a_path_that_is_no_utf8_is_refused_by_its_field() -> None:
    with pytest.raises(FieldInvalid) as refused:
        PathTemplate("/v1/{id}").match("/v1/%FF")
    assert refused.value.metadata == {"field": "id", "rule": "string.utf8"}


@pytest.mark.parametrize("template", ["v1", "/v1/{id", "/v1/{a=**/b}", "/v1/a*", "/v1/{a=b*}"])
def test_what_is_no_template_is_refused_at_start(template: str) -> None:
    with pytest.raises(TemplateInvalid):
        PathTemplate(template)


def test_the_longer_path_stands_in_front_of_the_wider_one() -> None:
    paths = [b.template.template for b in bindings_of(contract().services_by_name.values())]
    assert paths.index("/v1/{name=shelves/*/books/*}:read") < paths.index(
        "/v1/{name=shelves/*/books/*}"
    )
    assert paths[-1] == "/v1/any/{name=**}"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("text=a", {"text": "a"}),
        ("text=a+b%2B", {"text": "a b+"}),
        ("text=%C3%A9", {"text": "é"}),
        ("text=", {}),
        ("&&text=a&", {"text": "a"}),
        ("text=a%3Db=c", {"text": "a=b=c"}),
        ("yes=true", {"yes": True}),
        ("small=-7", {"small": -7}),
        ("large=9007199254740993", {"large": "9007199254740993"}),
        ("real=1.5e3", {"real": 1500.0}),
        ("raw=aGk", {"raw": "aGk="}),
        ("raw=_-8%3D", {"raw": "/+8="}),
        ("colour=COLOUR_RED", {"colour": "COLOUR_RED"}),
        ("colour=2", {"colour": "COLOUR_BLUE"}),
        ("colour=99", {"colour": 99}),
        ("words=a&words=b", {"words": ["a", "b"]}),
        ("numbers=1&numbers=2", {"numbers": ["1", "2"]}),
        ("colours=COLOUR_RED&colours=2", {"colours": ["COLOUR_RED", "COLOUR_BLUE"]}),
        ("raws=aGk&raws=aGk%3D", {"raws": ["aGk=", "aGk="]}),
        ("inner.word=a&inner.pageCount=3", {"inner": {"word": "a", "pageCount": 3}}),
        ("inner.page_count=3", {"inner": {"pageCount": 3}}),
        ("inner.inner.word=a", {"inner": {"inner": {"word": "a"}}}),
        ("wait=1.5s", {"wait": "1.500s"}),
        ("time=2026-01-31T12:00:00Z", {"time": "2026-01-31T12:00:00Z"}),
        ("time=2026-01-31T12:00:00%2B01:00", {"time": "2026-01-31T11:00:00Z"}),
        ("mask=pageCount,inner.pageCount", {"mask": "pageCount,inner.pageCount"}),
        ("mask=page_count", {"mask": "pageCount"}),
        ("wrapped=5", {"wrapped": "5"}),
        ("left=a", {"left": "a"}),
        ("maybe=", {"maybe": ""}),
        ("otherName=a", {"otherName": "a"}),
        ("json_named=a", {"otherName": "a"}),
    ],
)
def test_a_query_string_fills_fields(query: str, found: dict[str, Any]) -> None:
    assert everything(query) == found


@pytest.mark.parametrize(
    ("query", "field", "rule"),
    [
        ("guess=1", "guess", "field.unknown"),
        ("Text=a", "Text", "field.unknown"),
        ("inner.guess=1", "inner.guess", "field.unknown"),
        ("text.a=1", "text.a", "field.unknown"),
        ("inner=1", "inner", "field.unknown"),
        ("inners.word=1", "inners.word", "field.unknown"),
        ("counts=1", "counts", "field.unknown"),
        ("counts.a=1", "counts.a", "field.unknown"),
        ("free=1", "free", "field.unknown"),
        ("any=1", "any", "field.unknown"),
        (".text=1", ".text", "field.unknown"),
        ("access_token=x", "access_token", "field.unknown"),
        ("text=a&text=b", "text", "query.single"),
        ("inner.pageCount=1&inner.page_count=1", "inner.page_count", "query.single"),
        ("text=%FF", "text", "string.utf8"),
        ("text=%", "text", "query.escape"),
        ("yes=1", "yes", "bool.json"),
        ("yes=True", "yes", "bool.json"),
        ("small=1.5", "small", "int32.json"),
        ("small=2147483648", "small", "int32.json"),
        ("small=1_0", "small", "int32.json"),
        ("small=%D9%A1", "small", "int32.json"),
        ("small=+1", "small", "int32.json"),
        ("large=9223372036854775808", "large", "int64.json"),
        ("unsigned=-1", "unsigned", "uint64.json"),
        ("real=0x10", "real", "double.json"),
        ("real=nan", "real", "double.json"),
        ("raw=a!", "raw", "bytes.base64"),
        ("raw=abcde", "raw", "bytes.base64"),
        ("colour=RED", "colour", "enum.json"),
        ("wait=1", "wait", "duration.json"),
        ("wait=1h", "wait", "duration.json"),
        ("time=yesterday", "time", "timestamp.json"),
        ("mask=a b", "mask", "field_mask.paths"),
        ("wrapped=a", "wrapped", "int64value.json"),
        ("left=a&right=1", "right", "oneof.single"),
    ],
)
def test_what_a_query_string_may_not_say_is_refused_by_name(
    query: str, field: str, rule: str
) -> None:
    assert broken("FindBooks", query=query) == (field, rule)


def test_a_thousand_and_one_parameters_are_too_many() -> None:
    assert broken("FindBooks", query="&".join(["words=a"] * 1001)) == ("", "query.count")


BODIES: list[Any] = [
    {},
    {"text": "a", "yes": True, "small": -1, "large": "9007199254740993", "unsigned": "1"},
    {"large": 5, "small": "5", "real": 1, "unsigned": 3.0},
    {"real": "NaN"},
    {"real": "-Infinity", "raw": "aGk=", "raws": ["", "_-8"]},
    {"colour": "COLOUR_RED", "colours": [1, "COLOUR_BLUE", 77]},
    {"words": ["a", ""], "numbers": ["1", 2], "inners": [{"word": "a"}, {}]},
    {"inner": {"page_count": 3, "inner": {}}, "counts": {"a": 1, "": "2"}},
    {"wait": "-0.000000001s", "time": "1970-01-01T00:00:00.000000001Z", "mask": "a,bC"},
    {"wrapped": "7", "free": {"a": [1, None, {"b": "c"}]}, "maybe": ""},
    {"any": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}},
    {"left": "a", "right": None, "inner": None, "words": None},
    {"otherName": "x"},
    {"text": "\u2028\x00\U0001f30a"},
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: json.dumps(body)[:40])
def test_a_body_means_what_protobuf_says_it_means(body: Any) -> None:
    expected = GetMessageClass(binding("PutEverything").method.input_type)()
    ParseDict(body, expected)
    found = request("PutEverything", body=body)
    assert found.SerializeToString(deterministic=True) == expected.SerializeToString(
        deterministic=True
    )


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        ([], "", "message.json"),
        ("a", "", "message.json"),
        ({"guess": 1}, "guess", "field.unknown"),
        ({"inner": {"guess": 1}}, "inner.guess", "field.unknown"),
        ({"inners": [{}, {"guess": 1}]}, "inners[1].guess", "field.unknown"),
        ({"g" * 200: 1}, "g" * 64, "field.unknown"),
        ({"page_count": 1}, "page_count", "field.unknown"),
        ({"text": 1}, "text", "string.json"),
        ({"text": {"a": 1}}, "text", "string.json"),
        ({"text": True}, "text", "string.json"),
        ({"yes": "true"}, "yes", "bool.json"),
        ({"yes": 1}, "yes", "bool.json"),
        ({"small": True}, "small", "int32.json"),
        ({"small": 1.5}, "small", "int32.json"),
        ({"small": " 1"}, "small", "int32.json"),
        ({"small": 2147483648}, "small", "int32.json"),
        ({"small": float("inf")}, "small", "int32.json"),
        ({"small": 10**400}, "small", "int32.json"),
        ({"real": 10**400}, "real", "double.json"),
        ({"large": "1_0"}, "large", "int64.json"),
        ({"real": "1_0.0"}, "real", "double.json"),
        ({"real": "1e999"}, "real", "double.json"),
        ({"raw": "a*b="}, "raw", "bytes.base64"),
        ({"raw": 5}, "raw", "bytes.base64"),
        ({"colour": True}, "colour", "enum.json"),
        ({"colour": 1.5}, "colour", "enum.json"),
        ({"colour": "COLOUR_GREEN"}, "colour", "enum.json"),
        ({"words": "a"}, "words", "repeated.json"),
        ({"words": ["a", 1]}, "words[1]", "string.json"),
        ({"words": ["a", None]}, "words[1]", "string.json"),
        ({"inner": []}, "inner", "message.json"),
        ({"inners": {}}, "inners", "repeated.json"),
        ({"counts": []}, "counts", "map.json"),
        ({"counts": {"a": "x"}}, 'counts["a"]', "int32.json"),
        ({"counts": {"a": None}}, 'counts["a"]', "int32.json"),
        ({"wait": "1"}, "wait", "duration.json"),
        ({"wait": {"seconds": 1}}, "wait", "duration.json"),
        ({"time": "2026-13-01T00:00:00Z"}, "time", "timestamp.json"),
        ({"time": 5}, "time", "timestamp.json"),
        ({"mask": {"paths": ["a"]}}, "mask", "field_mask.paths"),
        ({"any": {"@type": "type.googleapis.com/a.B"}}, "any", "any.json"),
        ({"any": {"value": 1}}, "any", "any.json"),
        ({"left": "a", "right": 1}, "right", "oneof.single"),
        ({"otherName": "a", "json_named": "b"}, "json_named", "json.duplicate"),
        ({"inner": {"pageCount": 1, "page_count": 2}}, "inner.page_count", "json.duplicate"),
    ],
)
def test_what_a_body_may_not_say_is_refused_by_name(body: Any, field: str, rule: str) -> None:
    assert broken("PutEverything", body=body) == (field, rule)


def test_path_and_body_fill_one_request_and_must_agree() -> None:
    path = "/v1/everything/a"
    assert MessageToDict(request("PutEverything", path, body={"small": 1})) == {
        "text": "a",
        "small": 1,
    }
    assert MessageToDict(request("PutEverything", path, body={"text": "a"})) == {"text": "a"}
    assert broken("PutEverything", path, body={"text": "b"}) == ("text", "path.agrees")


def test_what_stands_in_path_or_body_is_no_parameter() -> None:
    book = "/v1/shelves/a/books/b"
    assert broken("GetBook", book, "name=shelves/x/books/y") == ("name", "field.unknown")
    assert broken("PutEverything", "/v1/everything/a", "small=1", {}) == ("small", "field.unknown")
    assert broken("UpdateBook", book, "book.title=x", {}) == ("book.title", "field.unknown")
    got = request("GetBook", book, "lenderName=ada")
    assert MessageToDict(got) == {"name": "shelves/a/books/b", "lenderName": "ada"}


@pytest.mark.parametrize(
    ("body", "query", "mask"),
    [
        ({"title": "a"}, "", ["title"]),
        ({"title": "", "authors": []}, "", ["title", "authors"]),
        ({"title": "a", "authors": None}, "", ["title"]),
        ({"name": "shelves/a/books/b", "etag": "1", "state": "x"}, "", []),
        ({"title": "a"}, "updateMask=authors", ["authors"]),
        ({"title": "a"}, "update_mask=title,authors", ["title", "authors"]),
    ],
)
def test_a_patch_without_a_mask_changes_what_it_holds(
    body: Any, query: str, mask: list[str]
) -> None:
    made = request("UpdateBook", "/v1/shelves/a/books/b", query, body)
    assert list(made.update_mask.paths) == mask  # type: ignore[attr-defined]
    assert made.book.name == "shelves/a/books/b"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"{", "json.syntax"),
        (b"{'a': 1}", "json.syntax"),
        (b'{"a": 1,}', "json.syntax"),
        (b'{"a": 01}', "json.syntax"),
        (b'{"a": "\n"}', "json.syntax"),
        (b"\x0b{}", "json.syntax"),
        (b" ", "json.syntax"),
        (b'{"a": 1} {"b": 2}', "json.trailing"),
        (b"{}\x00", "json.trailing"),
        (b'{"a": 1, "a": 1}', "json.duplicate"),
        (b'{"a": 1, "\\u0061": 2}', "json.duplicate"),
        (b'{"a": NaN}', "json.constant"),
        (b'{"a": -Infinity}', "json.constant"),
        (b'{"a": "\\ud800"}', "json.surrogate"),
        (b'{"\\udc00": 1}', "json.surrogate"),
        (b'{"a": "\xff"}', "json.utf8"),
        ('{"a": "é"}'.encode("utf-16"), "json.utf8"),
        (b"\xef\xbb\xbf{}", "json.byte_order_mark"),
        (b'{"a": ' + b"9" * 5000 + b"}", "json.number"),
        (b"[" * 2000 + b"]" * 2000, "json.depth"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "json.depth"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "json.depth"),
        (b"[" + b"1," * MAX_VALUES + b"1]", "json.values"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:16]),
)
def test_json_that_readers_could_read_differently_is_refused(text: bytes, rule: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        parse_json(text)
    assert refused.value.metadata == {"field": "", "rule": rule}


def test_json_within_its_bounds_is_read() -> None:
    nest = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert parse_json(b" \t\r\n" + nest + b"\n") == json.loads(nest)
    assert parse_json('{"a": "\\ud83c\\udf0a é"}'.encode()) == {"a": "🌊 é"}
