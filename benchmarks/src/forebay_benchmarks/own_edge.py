"""An edge beside the system's own, with as many processes as a figure is for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from forebay_benchmarks.http_connection import Endpoint
from forebay_benchmarks.stand import Stand
from forebay_standalone.ports import LOOPBACK, free_port
from forebay_standalone.readiness import serves_grpc
from forebay_standalone.running_program import RunningProgram

_START_SECONDS = 60.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class OwnEdge:
    """Where it serves HTTP, and its process id."""

    http: Endpoint
    pid: int


@contextmanager
def own_edge(stand: Stand, processes: int) -> Iterator[OwnEdge]:
    """Start it and end it."""
    grpc_port = free_port()
    address = f"{LOOPBACK}:{grpc_port}"
    http = f"{LOOPBACK}:{free_port(frozenset({grpc_port}))}"
    program = stand.system.programs["edge"].program
    own = {
        "FOREBAY_GRPC_ADDRESS": address,
        "FOREBAY_HTTP_ADDRESS": http,
        "FOREBAY_PROCESSES": str(processes),
    }
    described = replace(
        program, name="own-edge", env={**program.env, **own}, ready=serves_grpc(address)
    )
    running = RunningProgram(described, stand.system.state.logs, stand.system.options.env)
    running.start()
    try:
        running.wait_ready(_START_SECONDS)
        yield OwnEdge(Endpoint(http, stand.token()), running.pid or 0)
    finally:
        running.stop(_STOP_SECONDS)
