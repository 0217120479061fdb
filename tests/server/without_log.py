"""Both transports in front of services that need no log, behind a real chain."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import httpx
from google.protobuf.descriptor import ServiceDescriptor
from prometheus_client import CollectorRegistry

from forebay_server.audit.activity import Write, unheard
from forebay_server.clock import system_clock
from forebay_server.composition import METHODS, SERVICES
from forebay_server.governance.authorisation import MethodPolicies
from forebay_server.governance.chain import Chain
from forebay_server.governance.policy import Policy
from forebay_server.governance.tokens import TokenAuthenticator
from forebay_server.governance.validation import RequestValidator
from forebay_server.http.server import HttpOptions, HttpServer
from forebay_server.limits.backlog import Backlog
from forebay_server.limits.limiter import Limiter
from forebay_server.limits.memory_store import MemoryStore
from forebay_server.limits.usage_ledger import UsageLedger
from forebay_server.metrics.calls import CallMeter
from forebay_server.rpc.drain import Drain
from forebay_server.rpc.gate import Gate
from forebay_server.rpc.server import RpcServer

from .http_edge import HttpEdge
from .judging import KEY, trusted
from .keys import public_jwk


@dataclass(frozen=True)
class Fixed:
    """A policy that never changes."""

    current: Policy


def limiter_in_memory() -> Limiter:
    async def none_waits(tenant: str, at_most: int) -> int:
        return 0

    return Limiter(MemoryStore(), UsageLedger(system_clock), Backlog(none_waits))


@asynccontextmanager
async def both_transports(
    service: object,
    policy: str,
    keys: list[dict[str, object]] | None = None,
    validator: RequestValidator | None = None,
    audit: Write = unheard,
) -> AsyncIterator[HttpEdge]:
    """One object in place of every service of the contract; the issuer has these keys."""
    services: Mapping[ServiceDescriptor, object] = dict.fromkeys(SERVICES, service)
    authenticator = TokenAuthenticator([trusted(keys or [public_jwk(KEY, "k1")])], system_clock)
    rules = Fixed(Policy.parse(policy.encode(), Path("policy.yaml")))
    chain = Chain(
        authenticator,
        rules,
        MethodPolicies(SERVICES),
        validator or RequestValidator(),
        limiter_in_memory(),
        audit,
    )
    drain, meter = Drain(), CallMeter(CollectorRegistry(), METHODS)
    rpc = RpcServer(Gate(chain, drain, meter), drain, share_port=False)
    server = HttpServer(services, chain, drain, meter, HttpOptions())
    grpc_port = await rpc.start(services, "127.0.0.1:0", None)
    port = await server.start("127.0.0.1", 0)
    try:
        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
        ):
            yield HttpEdge(client, channel, port, server, services)
    finally:
        await server.drain(0)
        await rpc.drain(0)
        await authenticator.close()
