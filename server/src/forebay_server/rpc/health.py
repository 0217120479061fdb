"""Health by service (grpc.health.v1), whose watchers do not hold up a process that leaves."""

from __future__ import annotations

from contextlib import suppress

import grpc.aio
from grpc_health.v1 import health, health_pb2

from forebay_server.errors import ServerDraining
from forebay_server.rpc.drain import Drain

Context = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]


class Health(health.aio.HealthServicer):
    """gRPC's own health service; `end_watches` lets its streams end."""

    def __init__(self) -> None:
        super().__init__()
        self._watches = Drain()

    async def Watch(  # noqa: N802 the contract's name
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> None:
        """Follow a service's health until the client or the process leaves."""
        with suppress(ServerDraining):
            async with self._watches.running():
                await super().Watch(request, context)

    def end_watches(self) -> None:
        """End all streams of watchers, which never end by themselves."""
        self._watches.cut()
