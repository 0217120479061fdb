"""Questions accepted per second over HTTP."""

from forebay_benchmarks.bare_edge import BareEdge
from forebay_benchmarks.bare_http_edge import bare_http_edge
from forebay_benchmarks.child import Child
from forebay_benchmarks.figures import Figure
from forebay_benchmarks.http_connection import Endpoint
from forebay_benchmarks.http_submit_load import HttpSubmitLoad, http_submit_load
from forebay_benchmarks.own_edge import own_edge
from forebay_benchmarks.rounds import Plan, alternate
from forebay_benchmarks.scenarios.submit_query import shapes_of_a_question
from forebay_benchmarks.stand import Stand
from forebay_standalone.ports import LOOPBACK, free_port

_CONNECTIONS = 32
_SHORT = 0.5  # seconds; only so that the log holds records to measure


def http_submit(stand: Stand, plan: Plan) -> Figure:
    """One edge process; ends the workers."""
    return _figure(stand, plan, 1)


def http_submit_two(stand: Stand, plan: Plan) -> Figure:
    """Two edge processes on the same port; ends the workers."""
    return _figure(stand, plan, 2)


def _figure(stand: Stand, plan: Plan, processes: int) -> Figure:
    stand.stop_workers()
    bare = Endpoint(f"{LOOPBACK}:{free_port()}", stand.token())
    with (
        own_edge(stand, processes) as edge,
        Child(http_submit_load, HttpSubmitLoad(edge.http, _CONNECTIONS)) as system,
    ):
        system.measure(_SHORT)
        server = BareEdge(bare.address, stand.kafka, shapes_of_a_question(stand))
        with (
            Child(bare_http_edge, server),
            Child(http_submit_load, HttpSubmitLoad(bare, _CONNECTIONS)) as floor,
        ):
            rounds = alternate(floor.measure, system.measure, plan)
    how = f"{_CONNECTIONS} connections; workers stopped"
    return Figure(
        unit="1/s",
        rounds=rounds,
        floor_is=f"a bare connexion handler on uvicorn that awaits two acks, one process; {how}",
        system_is=f"POST /v1/queries, {processes} edge process{'es' * (processes > 1)}; {how}",
    )
