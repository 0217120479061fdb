"""From the record of an answer to the event at its reader, over Server-Sent Events."""

from forebay.client import Client
from forebay.records.v1 import AnswerRecord
from forebay_benchmarks.answer_records import Answer, AnswerSigner
from forebay_benchmarks.bare_events import BareEvents, bare_events
from forebay_benchmarks.bare_kafka import create_topic
from forebay_benchmarks.child import Child
from forebay_benchmarks.event_load import EventLoad, event_load
from forebay_benchmarks.figures import Figure
from forebay_benchmarks.http_connection import Endpoint
from forebay_benchmarks.own_edge import own_edge
from forebay_benchmarks.rounds import Plan, alternate
from forebay_benchmarks.stand import Stand
from forebay_kafka.topics import topic_of
from forebay_standalone.ports import LOOPBACK, free_port

_READERS = 200
_ALONE_PER_SECOND = 20.0
_PER_SECOND = 4_000.0
_QUERY_SECONDS = 600  # the longest that there is: nobody answers meanwhile
_TOPIC = "bench.events"


def event_alone(stand: Stand, plan: Plan) -> Figure:
    """One reader."""
    return _figure(stand, plan, processes=1, readers=1, per_second=_ALONE_PER_SECOND)


def events(stand: Stand, plan: Plan) -> Figure:
    """Two hundred readers at 4,000 deliveries a second."""
    return _figure(stand, plan, processes=1, readers=_READERS, per_second=_PER_SECOND)


def events_two(stand: Stand, plan: Plan) -> Figure:
    """The same with two edge processes."""
    return _figure(stand, plan, processes=2, readers=_READERS, per_second=_PER_SECOND)


def events_burst(stand: Stand, plan: Plan) -> Figure:
    """Two hundred readers and as many events as they can be sent."""
    return _figure(stand, plan, processes=1, readers=_READERS, per_second=0)


def events_burst_two(stand: Stand, plan: Plan) -> Figure:
    """The same with two edge processes."""
    return _figure(stand, plan, processes=2, readers=_READERS, per_second=0)


def _figure(stand: Stand, plan: Plan, *, processes: int, readers: int, per_second: float) -> Figure:
    stand.stop_workers()
    answers, topic = _answers(stand, readers), topic_of(AnswerRecord).name
    create_topic(stand.kafka, _TOPIC, like=topic)
    bare = Endpoint(f"{LOOPBACK}:{free_port()}", stand.token())
    with own_edge(stand, processes) as edge:
        load = EventLoad(edge.http, stand.kafka, topic, answers, per_second)
        bare_load = EventLoad(bare, stand.kafka, _TOPIC, answers, per_second)
        with (
            Child(bare_events, BareEvents(bare.address, stand.kafka, _TOPIC)),
            Child(event_load, bare_load) as floor,
            Child(event_load, load) as system,
        ):
            rounds = alternate(floor.measure, system.measure, plan)
    how = f"{readers} readers, each of its own answer"
    if per_second:
        how += f", {per_second:,.0f} events a second together"
    else:
        how += f", bursts of {load.burst} events for each"
    return Figure(
        unit="ms" if per_second else "1/s",
        rounds=rounds,
        floor_is=f"a bare ASGI application on uvicorn that reads the topic, one process; {how}",
        system_is=f"SSE, {processes} edge process{'es' * (processes > 1)}; {how}; workers stopped",
    )


def _answers(stand: Stand, count: int) -> tuple[Answer, ...]:
    signer = AnswerSigner(stand)
    with Client(stand.grpc, stand.token()) as client:
        names = [
            client.submit(f"Question {number}?", timeout=_QUERY_SECONDS).name
            for number in range(count)
        ]
    return tuple(signer.answer(name) for name in names)
