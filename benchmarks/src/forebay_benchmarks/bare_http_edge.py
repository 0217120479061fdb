"""The baseline of SubmitQuery over HTTP: a connexion handler that awaits two acknowledgements."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from connexion.apps.asynchronous import AsyncApp
from connexion.options import SwaggerUIOptions
from connexion.resolver import Resolver

from forebay_benchmarks.bare_edge import BareEdge, two_writes
from forebay_benchmarks.bare_kafka import BareProducer
from forebay_benchmarks.bare_server import served
from forebay_benchmarks.child import AsyncMeasure

_SUBMIT = {
    "operationId": "submit",
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["text"],
                    "properties": {"text": {"type": "string"}, "requestId": {"type": "string"}},
                }
            }
        },
    },
    "responses": {"200": {"description": "The query."}},
}
_DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "bare", "version": "1"},
    "paths": {"/v1/queries": {"post": _SUBMIT}},
}


@asynccontextmanager
async def bare_http_edge(config: BareEdge) -> AsyncIterator[AsyncMeasure | None]:
    """Serve until the parent closes; measures nothing."""
    producer = BareProducer(config.kafka)
    write = two_writes(producer, config.records)

    async def submit(body: dict[str, Any]) -> dict[str, str]:  # noqa: ARG001 - what connexion read
        await write()
        return {"name": "queries/bare", "state": "STATE_QUEUED"}

    app = AsyncApp(__name__, swagger_ui_options=SwaggerUIOptions(swagger_ui=False))
    app.add_api(_DOCUMENT, resolver=Resolver(lambda _: submit))
    async with served(app, config.address):
        yield None
    await producer.close()
