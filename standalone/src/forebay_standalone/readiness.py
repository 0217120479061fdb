"""How a child says that it serves."""

from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

ANSWER_SECONDS = 1.0  # a program that is up answers in milliseconds; asked again until the deadline

Ready = Callable[[], bool]


def serves_grpc(address: str) -> Ready:
    """Ask the gRPC health service (grpc.health.v1) of a whole server."""

    def ready() -> bool:
        with suppress(grpc.RpcError), grpc.insecure_channel(address) as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=HealthCheckRequest.SerializeToString,
                response_deserializer=HealthCheckResponse.FromString,
            )
            answer = check(HealthCheckRequest(), timeout=ANSWER_SECONDS)
            return bool(answer.status == HealthCheckResponse.SERVING)
        return False

    return ready


def serves_http(address: str, path: str) -> Ready:
    """Ask for a page that answers 200 once the server is up."""

    def ready() -> bool:
        connection = HTTPConnection(address, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200  # noqa: PLR2004 RFC 9110, section 15.3.1
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return ready


def has_written(file: Path) -> Ready:
    """Look for the file that a program creates when it is ready."""
    return file.exists
