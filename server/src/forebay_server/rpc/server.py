"""The gRPC server: services behind the gate, health and reflection beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection

from forebay_server.rpc.drain import Drain
from forebay_server.rpc.gate import Gate
from forebay_server.rpc.handlers import UnknownMethods, service_handlers
from forebay_server.rpc.health import Health

# A document of 4 MiB must be refused by our own rule, which names the limit, and not by gRPC's,
# which ends the call with RESOURCE_EXHAUSTED: four times the content leaves room for mistakes.
MAX_REQUEST_BYTES = 16 * 1024 * 1024
# Likewise a token of more than 8 KiB, at which gRPC's own soft limit stands.
MAX_METADATA_BYTES = 16 * 1024
CUT_SECONDS = 1.0  # enough for the last statuses to reach their clients


class RpcServer:
    """One gRPC server on the running event loop."""

    def __init__(self, gate: Gate, drain: Drain, *, share_port: bool) -> None:
        self._gate = gate
        self._drain = drain
        self._health = Health()
        self._names: list[str] = []
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
                ("grpc.max_metadata_size", MAX_METADATA_BYTES),
                ("grpc.absolute_max_metadata_size", 2 * MAX_METADATA_BYTES),
                ("grpc.so_reuseport", int(share_port)),
            ]
        )

    async def start(
        self,
        services: Mapping[ServiceDescriptor, object],
        address: str,
        credentials: grpc.ServerCredentials | None,
    ) -> int:
        """Serve the services on `host:port`, with TLS when there are credentials; the port."""
        self._names = [contract.full_name for contract in services]
        add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            [*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
        )
        self._server.add_generic_rpc_handlers(
            (
                *(
                    service_handlers(name, service, self._gate)
                    for name, service in services.items()
                ),
                UnknownMethods(self._gate),
            )
        )
        port = self._bind(address, credentials)
        await self._server.start()
        for name in (*self._names, health.OVERALL_HEALTH):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return port

    async def drain(self, seconds: float) -> None:
        """Leave: unhealthy at once, no new calls, SERVER_DRAINING for what runs at the end."""
        await self._health.enter_graceful_shutdown()
        # Once and no more: a second stop beside the first one crashes the process.
        stopped = asyncio.create_task(self._server.stop(seconds + CUT_SECONDS))
        await self._drain.idle_within(seconds)
        self._drain.cut()
        await self._drain.idle_within(CUT_SECONDS)
        self._health.end_watches()
        await stopped

    def _bind(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        if credentials is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, credentials)


def tls_credentials(certificate: Path, key: Path) -> grpc.ServerCredentials:
    """Credentials from a PEM chain and its private key."""
    return grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
