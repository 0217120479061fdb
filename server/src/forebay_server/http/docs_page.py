"""The OpenAPI document as a page: plain HTML, without a script and without anything loaded."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from typing import Any

from forebay_server.http.replies import Reply

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1b2430}
h1,h2,h3{line-height:1.2}
h3{font-family:ui-monospace,monospace;font-size:1rem;overflow-wrap:anywhere}
section{border-top:1px solid #c5ced8;padding:.5rem 0}
b{background:#12506b;color:#fff;border-radius:.2rem;padding:.1rem .4rem;margin-right:.4rem}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;
border-bottom:1px solid #dfe5eb;padding:.3rem .6rem .3rem 0}
code{overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{background:#12181f;color:#dfe7ef}a{color:#7cc4e8}}
"""
LIMITS = (
    "format",
    "pattern",
    "enum",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "maxItems",
    "maxProperties",
)


def docs_page(document: Mapping[str, Any]) -> Reply:
    """The page, with a policy that lets a browser apply its one style and nothing else."""
    info = document["info"]
    operations = "".join(
        _operation(verb, path, operation)
        for path, verbs in document["paths"].items()
        for verb, operation in verbs.items()
    )
    schemas = "".join(
        _schema(name, schema) for name, schema in document["components"]["schemas"].items()
    )
    body = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(info['title'])}</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info['description'])} The same as "
        f'<a href="/openapi.json">OpenAPI {escape(document["openapi"])}</a>.</p>'
        f"<h2>Methods</h2>{operations}<h2>Messages</h2>{schemas}</main></body></html>"
    )
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-cache",
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; frame-ancestors 'none'",
    }
    return Reply(200, body.encode(), headers)


def _operation(verb: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = [
        (parameter["name"], parameter["in"], parameter["schema"], parameter.get("description", ""))
        for parameter in operation["parameters"]
    ]
    content = operation.get("requestBody", {}).get("content", {})
    for media, held in content.items():
        rows += [("", media, held["schema"], "")]
        rows += [(name, "body", each, "") for name, each in _properties(held["schema"])]
    results = "".join(
        f"<p>{escape(code)} {escape(media)}: {_type(held['schema'])}</p>"
        for code, response in operation["responses"].items()
        if code == "200"
        for media, held in response["content"].items()
    )
    return (
        f'<section id="{escape(operation["operationId"])}"><h3><b>{verb.upper()}</b>'
        f"{escape(path)}</h3><p>{escape(operation['description'])}</p>{_table(rows)}{results}"
        "</section>"
    )


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    rows = [(each, "", held, "") for each, held in _properties(schema)]
    text = escape(schema.get("description", ""))
    return (
        f'<section id="{escape(name)}"><h3>{escape(name)}</h3><p>{text}</p>{_table(rows)}</section>'
    )


def _properties(schema: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return list(schema.get("properties", {}).items())


def _table(rows: list[tuple[str, str, Mapping[str, Any], str]]) -> str:
    if not rows:
        return ""
    lines = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(place)}</td><td>{_type(schema)}</td>"
        f"<td>{escape(text or schema.get('description', ''))}</td></tr>"
        for name, place, schema, text in rows
    )
    return (
        "<table><thead><tr><th>Name</th><th>In</th><th>Type</th><th>Meaning</th></tr></thead>"
        f"<tbody>{lines}</tbody></table>"
    )


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{escape(name)}">{escape(name.rpartition(".")[2])}</a>'
    if "allOf" in schema:
        return _type(schema["allOf"][0])
    if schema.get("type") == "array":
        return f"array of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map to {_type(schema['additionalProperties'])}"
    limits = ", ".join(f"{name}: {schema[name]}" for name in LIMITS if name in schema)
    return escape(str(schema.get("type", "any"))) + (
        f" <code>{escape(limits)}</code>" if limits else ""
    )
