"""Documents until they are safe in the log."""

from forebay.records.v1 import DocumentRecord
from forebay_benchmarks.bare_ingest import BareIngest, bare_ingest
from forebay_benchmarks.bare_kafka import create_topic, last_record
from forebay_benchmarks.child import Child
from forebay_benchmarks.figures import Figure
from forebay_benchmarks.ingest_load import WINDOW, IngestLoad, accepted_load
from forebay_benchmarks.rounds import Plan, alternate
from forebay_benchmarks.stand import Stand
from forebay_kafka.topics import topic_of

_TENANT = "bench-ingest"
_TOPIC = "bench.documents"
_DOCUMENT_BYTES = 2048
_SHORT = 0.5  # seconds; only so that the log holds a record to measure


def ingest_accepted(stand: Stand, plan: Plan) -> Figure:
    """Measure receipts beside bare acknowledgements; ends the workers."""
    stand.stop_workers()
    documents = topic_of(DocumentRecord).name
    create_topic(stand.kafka, _TOPIC, like=documents)
    sent = IngestLoad(stand.grpc, stand.token(_TENANT), _DOCUMENT_BYTES)
    with Child(accepted_load, sent) as system:
        system.measure(_SHORT)
        bare = BareIngest(stand.kafka, _TOPIC, last_record(stand.kafka, documents), WINDOW)
        with Child(bare_ingest, bare) as floor:
            rounds = alternate(floor.measure, system.measure, plan)
    size = f"documents of {_DOCUMENT_BYTES} bytes, {WINDOW} without a receipt; workers stopped"
    return Figure(
        unit="1/s",
        rounds=rounds,
        floor_is=f"a bare idempotent producer, acks=all; {size}",
        system_is=f"one StreamDocuments stream; {size}",
    )
