"""The OpenAPI document and its page: made from the contract alone, and valid for others."""

import html.parser
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc
from openapi_spec_validator import OpenAPIV30SpecValidator

from forebay_server.composition import SERVICES
from forebay_server.http import comments
from forebay_server.http.bindings import bindings_of
from forebay_server.http.comments import contract_comments
from forebay_server.http.docs_page import docs_page
from forebay_server.http.openapi import openapi

from .conftest import Installation
from .http_contract import PROTO
from .http_shelf import SHELF, shelf_edge


def public_document() -> dict[str, Any]:
    return openapi(bindings_of(SERVICES), contract_comments(), "1")


def operation(document: dict[str, Any], verb: str, path: str) -> dict[str, Any]:
    return dict(document["paths"][path][verb])


def operations(document: dict[str, Any]) -> set[str]:
    return {each["operationId"] for verbs in document["paths"].values() for each in verbs.values()}


def parameters(found: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in found["parameters"]}


@pytest.mark.parametrize("services", [SERVICES, [SHELF]], ids=["forebay", "shelf"])
def test_the_document_is_valid_for_an_independent_validator(services: Any) -> None:
    document = json.loads(json.dumps(openapi(bindings_of(services), contract_comments(), "1")))
    assert [str(error) for error in OpenAPIV30SpecValidator(document).iter_errors()] == []


def test_every_method_that_http_reaches_is_in_it() -> None:
    document = public_document()
    listed = {
        each["operationId"] for verbs in document["paths"].values() for each in verbs.values()
    }
    expected = {
        f"{service.name}.{method.name}"
        for service in SERVICES
        for method in service.methods
        if not method.client_streaming
    }
    assert listed == expected


def test_everything_in_it_is_explained() -> None:
    document = public_document()
    own = {
        name: schema
        for name, schema in document["components"]["schemas"].items()
        if name.startswith("forebay.")
    }
    assert [name for name, schema in own.items() if not schema.get("description")] == []
    unexplained = [
        f"{name}.{field}"
        for name, schema in own.items()
        for field, held in schema["properties"].items()
        if not held.get("description")
    ]
    assert unexplained == []
    for verbs in document["paths"].values():
        assert all(each["description"] for each in verbs.values())


def test_rules_of_the_contract_are_rules_of_the_document() -> None:
    document = public_document()
    submit = operation(document, "post", "/v1/queries")["requestBody"]["content"]
    schema = submit["application/json"]["schema"]
    assert schema["required"] == ["text"]
    fields = schema["properties"]
    assert (fields["text"]["minLength"], fields["text"]["maxLength"]) == (1, 16_384)
    assert (fields["topK"]["minimum"], fields["topK"]["maximum"]) == (0, 50)
    assert fields["collections"]["uniqueItems"]
    assert fields["collections"]["items"]["pattern"] == "^collections/[a-z0-9-]{1,63}$"
    assert fields["filter"]["maxProperties"] == 16
    assert "MODE_RETRIEVE_ONLY" in fields["mode"]["enum"]
    document_schema = document["components"]["schemas"]["forebay.ingest.v1.Document"]
    assert document_schema["properties"]["state"]["readOnly"]
    assert document_schema["properties"]["raw"]["writeOnly"]
    assert document_schema["properties"]["raw"]["maxLength"] == 5_592_408
    purge = operation(document, "post", "/v1/deadLetters:purge")["requestBody"]["content"]
    told = purge["application/json"]["schema"]["description"]
    assert told.endswith("Rule: names or filter must be set.")
    assert document_schema["not"] == {"anyOf": [{"required": ["text", "raw"]}]}
    assert fields["timeout"]["pattern"] == r"^[0-9]{1,3}(\.[0-9]{1,9})?s$"
    assert fields["filter"]["description"].endswith("Keys match ^[a-z0-9][a-z0-9_.-]{0,62}$.")


def test_paths_are_written_with_the_names_of_resources() -> None:
    document = public_document()
    found = operation(document, "get", "/v1/collections/{collection}/documents/{document}")
    assert parameters(found)["collection"]["schema"]["pattern"] == "^[a-z0-9-]{1,63}$"
    assert set(parameters(found)) == {"collection", "document", "etag", "If-None-Match"}
    change = operation(document, "patch", "/v1/collections/{collection}/documents/{document}")
    for name in ("collection", "document"):
        assert parameters(change)[name] == parameters(found)[name]
    letters = parameters(operation(document, "get", "/v1/deadLetters"))
    assert {"filter.stage", "filter.startTime", "pageSize", "includeContent"} <= set(letters)


def test_headers_are_listed_where_they_mean_something() -> None:
    document = public_document()
    assert "Prefer" in parameters(operation(document, "get", "/v1/queries/{query}"))
    assert "Prefer" not in parameters(operation(document, "get", "/v1/caller"))
    assert "Idempotency-Key" in parameters(operation(document, "post", "/v1/queries"))
    stream = parameters(operation(document, "get", "/v1/queries/{query}:stream"))
    assert stream["Last-Event-ID"]["schema"] == {"type": "string", "maxLength": 512}


def test_an_answer_without_a_body_is_listed_where_a_client_may_know_the_resource() -> None:
    document = public_document()
    listed = {
        found["operationId"]
        for verbs in document["paths"].values()
        for found in verbs.values()
        if "304" in found["responses"]
    }
    assert listed == {"QueryService.GetQuery", "IngestService.GetDocument"}


async def test_a_method_of_a_new_contract_is_served_and_listed_without_a_line_of_python(
    installation: Installation,
) -> None:
    async with shelf_edge(installation.settings) as edge:
        document = (await edge.http.get("/openapi.json")).json()
        assert "/v1/shelves/{shelves}" not in document["paths"]
        assert operations(document) == {f"ShelfService.{each.name}" for each in SHELF.methods} | {
            "ShelfService.GetBook.1"
        }


class Loads(html.parser.HTMLParser):
    """What a page would make a browser run or load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag in ("script", "img", "link", "iframe") or "src" in names:
            self.found.append(tag)
        self.found += [name for name in names if name.startswith("on") or name == "style"]


async def test_the_page_loads_nothing_and_links_within_itself(installation: Installation) -> None:
    async with shelf_edge(installation.settings) as edge:
        page: httpx.Response = await edge.http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    loads = Loads()
    loads.feed(page.text)
    assert loads.found == []
    text = docs_page(public_document()).body.decode()
    anchors = set(re.findall(r'href="#([^"]+)"', text))
    assert anchors <= set(re.findall(r'id="([^"]+)"', text))


def test_the_packaged_image_is_that_of_the_contract(tmp_path: Path) -> None:
    image = tmp_path / "image"
    sources = sorted(
        str(path.relative_to(PROTO / "public")) for path in (PROTO / "public").rglob("*.proto")
    )
    places = (
        *(PROTO / name for name in ("public", "private", "vendor")),
        files("grpc_tools") / "_proto",
    )
    arguments = [f"-I{place}" for place in places]
    options = ["--include_source_info", f"--descriptor_set_out={image}"]
    assert protoc.main(["protoc", *arguments, *options, *sources]) == 0
    packaged = files(comments.__package__ or "").joinpath(comments.IMAGE).read_bytes()
    assert FileDescriptorSet.FromString(packaged) == FileDescriptorSet.FromString(
        image.read_bytes()
    )
