"""A question answered by passages alone, one at a time."""

from forebay.query.v1 import SubmitQueryRequest
from forebay.records.v1 import AnswerRecord, QueryRecord
from forebay_benchmarks.ask_load import AskLoad, ask_load
from forebay_benchmarks.bare_hops import Hops, echo, round_trips
from forebay_benchmarks.bare_kafka import create_topic, last_record
from forebay_benchmarks.child import Child
from forebay_benchmarks.figures import Figure
from forebay_benchmarks.rounds import Plan, alternate
from forebay_benchmarks.stand import Stand
from forebay_kafka.topics import topic_of

_THERE, _BACK = "bench.hops-there", "bench.hops-back"
_SHORT = 0.5  # seconds; only so that the log holds records to measure


def retrieve(stand: Stand, plan: Plan) -> Figure:
    """Measure RETRIEVE_ONLY beside two bare hops."""
    asked = AskLoad(
        target=stand.grpc,
        token=stand.token(),
        question=stand.question,
        mode=SubmitQueryRequest.MODE_RETRIEVE_ONLY,
        until="completed",
        askers=1,
    )
    with Child(ask_load, asked) as system:
        system.measure(_SHORT)
        hops = _hops(stand)
        with Child(echo, hops), Child(round_trips, hops) as floor:
            rounds = alternate(floor.measure, system.measure, plan)
    return Figure(
        unit="ms",
        rounds=rounds,
        floor_is="two bare Kafka hops between two processes, one at a time",
        system_is="Ask with RETRIEVE_ONLY until `completed`, one at a time",
    )


def _hops(stand: Stand) -> Hops:
    queries, answers = topic_of(QueryRecord).name, topic_of(AnswerRecord).name
    create_topic(stand.kafka, _THERE, like=queries)
    create_topic(stand.kafka, _BACK, like=answers)
    return Hops(
        kafka=stand.kafka,
        there=_THERE,
        back=_BACK,
        question=last_record(stand.kafka, queries),
        answer=last_record(stand.kafka, answers),
    )
