"""One call over gRPC and over HTTP, which must be refused alike."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc.aio
import httpx
from google.protobuf.message import Message

from forebay_server.composition import SERVICES
from forebay_server.http.bindings import bindings_of
from forebay_standalone.system import Addresses

from ..server.both_wires import Refusal, over_grpc, over_http  # noqa: TID252 tests are no package

BINDINGS = {b.method.input_type: b for b in bindings_of(dict.fromkeys(SERVICES, None))}


@dataclass(frozen=True)
class Wires:
    """The two ways to the edge."""

    http: httpx.AsyncClient
    channel: grpc.aio.Channel

    async def refused(self, message: Message, token: str, *more: tuple[str, str]) -> Refusal:
        """What both say to a call, which must be the same."""
        headers = [("authorization", f"Bearer {token}"), *more]
        binding = BINDINGS[message.DESCRIPTOR]
        told = await over_grpc(self, binding.method, message, headers)
        assert await over_http(self, binding, message, headers) == told
        return told


@asynccontextmanager
async def wires_to(addresses: Addresses) -> AsyncIterator[Wires]:
    """Connections to an edge."""
    async with (
        httpx.AsyncClient(base_url=f"http://{addresses.http}", timeout=20) as http,
        grpc.aio.insecure_channel(addresses.grpc) as channel,
    ):
        yield Wires(http, channel)
