"""Memory of streams on which nothing happens."""

from forebay.client import Client
from forebay_benchmarks.child import Child
from forebay_benchmarks.figures import Figure
from forebay_benchmarks.http_connection import Endpoint
from forebay_benchmarks.idle_streams import IdleStreams, bare_streams, idle_streams
from forebay_benchmarks.own_edge import own_edge
from forebay_benchmarks.rounds import Plan, Rounds
from forebay_benchmarks.stand import Stand
from forebay_standalone.ports import LOOPBACK, free_port

_STREAMS = 5_000
_QUERIES = 50
_QUERY_SECONDS = 600  # the longest that there is: nobody answers meanwhile


def http_idle(stand: Stand, plan: Plan) -> Figure:
    """Five thousand streams on one edge process; ends the workers.

    One round: memory that was taken once is not given back, so a second one would find it there.
    """
    stand.stop_workers()
    address = f"{LOOPBACK}:{free_port()}"
    bare = Endpoint(address, stand.token())
    paths = _paths(stand)
    with own_edge(stand, 1) as edge, Child(bare_streams, address) as server:
        floor_load = IdleStreams(bare, paths, server.pid or 0)
        with Child(idle_streams, floor_load) as floor:
            floor_sample = floor.measure(plan.seconds)
        with Child(idle_streams, IdleStreams(edge.http, paths, edge.pid)) as system:
            system_sample = system.measure(plan.seconds)
    return Figure(
        unit="KiB",
        rounds=Rounds((floor_sample,), (system_sample,)),
        floor_is=f"a Starlette StreamingResponse without an event, on uvicorn; {_STREAMS} of them",
        system_is=f"StreamAnswer over SSE, {_STREAMS} streams without an event; workers stopped",
    )


def _paths(stand: Stand) -> tuple[str, ...]:
    with Client(stand.grpc, stand.token()) as client:
        names = [
            client.submit(f"Question {number}?", timeout=_QUERY_SECONDS).name
            for number in range(_QUERIES)
        ]
    return tuple(f"/v1/{names[number % _QUERIES]}:stream" for number in range(_STREAMS))
