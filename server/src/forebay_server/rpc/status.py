"""A google.rpc.Status as gRPC carries it: a code, a short text, and the whole in a trailer."""

from __future__ import annotations

import grpc
from google.rpc.status_pb2 import Status

DETAILS_KEY = "grpc-status-details-bin"
CODES = {code.value[0]: code for code in grpc.StatusCode}


def grpc_code(status: Status) -> grpc.StatusCode:
    """The code as grpc names it."""
    return CODES[status.code]


def trailers(status: Status) -> tuple[tuple[str, bytes]]:
    """The metadata that carries the whole status to the client."""
    return ((DETAILS_KEY, status.SerializeToString()),)
