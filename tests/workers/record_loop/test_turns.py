import pytest

from forebay.records.v1 import DocumentRecord, DocumentUpdate
from forebay_kafka.group_membership import TopicPartition
from forebay_kafka.records import Received, RecordReader
from forebay_kafka.topics import topic_of
from forebay_workers.record_loop.admission import Admission
from forebay_workers.record_loop.clock import SystemClock
from forebay_workers.record_loop.counters import Counts
from forebay_workers.record_loop.flow import Flow
from forebay_workers.record_loop.lanes import FairLanes
from forebay_workers.record_loop.partition import HeldPartition
from forebay_workers.record_loop.settings import MIB, LoopSettings

from .minting import Mint
from .scripted_stage import ScriptedDocuments

DOCUMENTS, UPDATES = (topic_of(record).name for record in (DocumentRecord, DocumentUpdate))


class BothTopics(ScriptedDocuments):
    reads = (DocumentRecord, DocumentUpdate)


@pytest.fixture
def admission() -> Admission:
    reader = RecordReader(Mint().verifier)
    return Admission(BothTopics(), reader, None, SystemClock(), Counts(), heeds_deadlines=True)


def received(topic: str, offset: int, document: str, value: bytes = b"") -> Received:
    key = f"acme/collections/default/documents/{document}@{offset}"
    return Received(topic, 0, offset, 0, key.encode(), value, ())


@pytest.mark.parametrize("deleted", ["another", "n1"])
def test_what_a_tenant_withdraws_does_not_wait_behind_what_it_brings_in(
    admission: Admission, deleted: str
) -> None:
    lanes = FairLanes()
    arrivals = [received(DOCUMENTS, n, f"n{n}") for n in range(100)]
    for each in (*arrivals, received(UPDATES, 0, deleted)):
        held = HeldPartition(TopicPartition(each.topic, each.partition))
        run, _ = admission.admit(held, each)
        assert run is not None
        lanes.add(run)
    started = [lanes.start() for _ in range(2)]
    assert [run.source.topic for run in started if run] == [DOCUMENTS, UPDATES]


class Source:
    """Keeps what it was told to pause."""

    def __init__(self) -> None:
        self.paused: set[TopicPartition] = set()

    def pause(self, partitions: set[TopicPartition]) -> None:
        self.paused |= partitions

    def resume(self, partitions: set[TopicPartition]) -> None:
        self.paused -= partitions


def test_documents_that_fill_the_memory_pause_no_withdrawals() -> None:
    source = Source()
    flow = Flow(source, LoopSettings(max_held_bytes=MIB))  # type: ignore[arg-type]
    documents, updates = (HeldPartition(TopicPartition(t, 0)) for t in (DOCUMENTS, UPDATES))
    for held in (documents, updates):
        flow.watch(held)
    documents.take(received(DOCUMENTS, 0, "large", b"x" * MIB))
    flow.review(documents)
    assert source.paused == {documents.partition}
