"""Questions accepted per second."""

from forebay.records.v1 import AnswerRecord, QueryRecord
from forebay_benchmarks.bare_edge import BareEdge, bare_edge
from forebay_benchmarks.bare_kafka import RecordShape, create_topic, last_record
from forebay_benchmarks.child import Child
from forebay_benchmarks.figures import Figure
from forebay_benchmarks.rounds import Plan, alternate
from forebay_benchmarks.stand import Stand
from forebay_benchmarks.submit_load import SubmitLoad, submit_load
from forebay_kafka.topics import topic_of
from forebay_standalone.ports import LOOPBACK, free_port

_SHORT = 0.5  # seconds; only so that the log holds records to measure


def submit_query(stand: Stand, plan: Plan) -> Figure:
    """Measure SubmitQuery beside a handler that awaits two acks; ends the workers."""
    stand.stop_workers()
    load = SubmitLoad(stand.grpc, stand.token())
    bare_load = SubmitLoad(f"{LOOPBACK}:{free_port()}", load.token)
    with Child(submit_load, load) as system:
        system.measure(_SHORT)
        bare = BareEdge(bare_load.target, stand.kafka, shapes_of_a_question(stand))
        with Child(bare_edge, bare), Child(submit_load, bare_load) as floor:
            rounds = alternate(floor.measure, system.measure, plan)
    how = f"{load.in_flight} in flight over {load.channels} connections; workers stopped"
    return Figure(
        unit="1/s",
        rounds=rounds,
        floor_is=f"a bare grpc.aio handler on uvloop that awaits two acks, one process; {how}",
        system_is=f"SubmitQuery on one edge process; {how}",
    )


def shapes_of_a_question(stand: Stand) -> tuple[tuple[str, RecordShape], ...]:
    """Topics of a baseline's own, and the shapes of what SubmitQuery writes to the real ones."""
    names = (topic_of(QueryRecord).name, topic_of(AnswerRecord).name)
    for name in names:
        create_topic(stand.kafka, f"bench.{name}", like=name)
    return tuple((f"bench.{name}", last_record(stand.kafka, name)) for name in names)
