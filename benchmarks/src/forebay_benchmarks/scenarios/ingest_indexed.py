"""Documents until questions find them."""

from forebay_benchmarks.child import Child
from forebay_benchmarks.direct_index import DirectIndex, direct_index
from forebay_benchmarks.figures import Figure
from forebay_benchmarks.ingest_load import IngestLoad, indexed_load
from forebay_benchmarks.rounds import Plan, alternate
from forebay_benchmarks.stand import Stand

_TENANT, _FLOOR_TENANT = "bench-ingest", "bench-direct"
_DOCUMENT_BYTES = 2048
_BATCH = 64


def ingest_indexed(stand: Stand, plan: Plan) -> Figure:
    """Measure batches of documents, each until all of it is INDEXED."""
    direct = DirectIndex(stand.dsn("write"), _FLOOR_TENANT, _DOCUMENT_BYTES, _BATCH)
    sent = IngestLoad(stand.grpc, stand.token(_TENANT), _DOCUMENT_BYTES, _BATCH)
    with Child(direct_index, direct) as floor, Child(indexed_load, sent) as system:
        rounds = alternate(floor.measure, system.measure, plan)
    size = f"documents of {_DOCUMENT_BYTES} bytes, {_BATCH} at a time; latency is a batch's"
    return Figure(
        unit="1/s",
        rounds=rounds,
        floor_is=f"cut, embed and insert in one process, one after another; {size}",
        system_is=f"StreamDocuments until ListDocuments says INDEXED of all; {size}",
    )
