"""An edge that serves HTTP beside gRPC, both in front of the same services."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc.aio
import httpx

from forebay_kafka.settings import KafkaSettings
from forebay_postgres import PostgresSettings
from forebay_server.composition import Configuration, edge
from forebay_server.http.server import HttpOptions, HttpServer
from forebay_server.settings import ServerSettings


@dataclass(frozen=True)
class HttpEdge:
    """Both transports of one edge."""

    http: httpx.AsyncClient
    channel: grpc.aio.Channel
    port: int
    server: HttpServer
    services: Any


@asynccontextmanager
async def serving(
    settings: ServerSettings,
    kafka: KafkaSettings,
    postgres: PostgresSettings,
    options: HttpOptions | None = None,
) -> AsyncIterator[HttpEdge]:
    async with edge(Configuration(settings, kafka, postgres), share_port=False) as built:
        grpc_port = await built.server.start(built.services, "127.0.0.1:0", None)
        gate = built.server._gate
        server = HttpServer(
            built.services, gate._chain, gate._drain, gate._meter, options or HttpOptions()
        )
        port = await server.start("127.0.0.1", 0)
        base = f"http://127.0.0.1:{port}"
        try:
            async with (
                grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
                httpx.AsyncClient(base_url=base, timeout=30) as client,
            ):
                yield HttpEdge(client, channel, port, server, built.services)
        finally:
            await server.drain(0)
            await built.server.drain(0)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def reason_of(response: httpx.Response) -> str:
    """The reason of the one ErrorInfo of a refusal, whose body is a whole google.rpc.Status."""
    status = json.loads(response.text)
    assert set(status) == {"code", "message", "details"}
    [info] = [each for each in status["details"] if each["@type"].endswith("/google.rpc.ErrorInfo")]
    assert info["domain"] == "forebay"
    return str(info["reason"])


def violation_of(response: httpx.Response) -> tuple[str, str]:
    """Field and rule of a refusal's ErrorInfo."""
    status = json.loads(response.text)
    [info] = [each for each in status["details"] if each["@type"].endswith("/google.rpc.ErrorInfo")]
    return info["metadata"]["field"], info["metadata"]["rule"]
