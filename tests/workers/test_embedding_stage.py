"""Embedding outlives the index that it writes to, and ends what must not be indexed any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from forebay.errors.v1 import ErrorReason
from forebay.policy.v1 import Visibility
from forebay.records.v1 import ChunkSet
from forebay_kafka.envelope import Envelope, Statement
from forebay_kafka.identity import GenerationLimits, Identity
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import Received
from forebay_postgres import CatalogueWriter, IndexRegistry, IndexWriter
from forebay_postgres.documents import DocumentVersion, Outcome, Verdict
from forebay_postgres.errors import IndexWithdrawn, ServingIndexMismatch, StatementTimedOut
from forebay_postgres.index_writer import Present
from forebay_workers.chunking.chunker import MOST_CHUNKS
from forebay_workers.embedding.serving_index import ServingIndex
from forebay_workers.embedding.stage import Embedding
from forebay_workers.models.embedding_model import EmbeddingModel
from forebay_workers.record_loop.stage import Retry, Work
from forebay_workers.stage_failure import StageFailure

NAME = "collections/manuals/documents/turbine"
VERSION = "01890a5d-ac96-774b-bcce-b302099a8057"
KEY = f"acme/manuals/turbine@{VERSION}/c1"


@dataclass(frozen=True)
class Registered:
    id: str


class Indexes:
    """A registry and a writer of one index at a time.

    `mismatch` says that another one serves, `slow` that writing takes longer than it may.
    """

    def __init__(self) -> None:
        self.serving = "first"
        self.mismatch = False
        self.slow = False
        self.written: list[str] = []
        self.lost = False
        self.outcome = Outcome.ACCEPTED

    async def ensure_serving_index(self, *_: object) -> Registered:
        if self.mismatch:
            raise ServingIndexMismatch(serving="theirs", wanted="ours")
        return Registered(self.serving)

    async def look_up(self, *_: object) -> Present:
        return Present(lost=self.lost, published=False, vectors={})

    async def publish(
        self, version: DocumentVersion, index_id: str, _passages: Sequence[object]
    ) -> Verdict:
        if self.slow:
            raise StatementTimedOut
        if index_id != self.serving:
            raise IndexWithdrawn(index_id, None)
        assert version.version == UUID(VERSION)
        self.written.append(index_id)
        return Verdict(self.outcome)

    async def fail(self, *_: object) -> Verdict:
        return Verdict(self.outcome)


class Tombstones:
    """A log that takes tombstones of chunks."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def tombstone(self, record: type, *, key: str, partition_key: str) -> None:
        assert (record, partition_key) == (ChunkSet, "acme/manuals/turbine")
        self.keys.append(key)


class ChunkModel:
    """A model that counts what it is paid for."""

    name = "m"
    dimensions = 2

    def __init__(self) -> None:
        self.paid: list[str] = []

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.paid += texts
        return np.ones((len(texts), 2), np.float32)


def work(*texts: str) -> Work[ChunkSet]:
    identity = Identity(
        "i", "acme", "ada", "t", Visibility.VISIBILITY_INTERNAL, (), GenerationLimits("", 1, 1), "1"
    )
    chunks = ChunkSet.Chunks(chunks=[ChunkSet.Chunk(text=text) for text in texts])
    chunk_set = ChunkSet(name=NAME, version=VERSION, chunking="c1", chunks=chunks)
    envelope = Envelope(identity, "", "", Statement(NAME), 0)
    source = Received("forebay.chunks.v1", 0, 0, 0, b"k", b"", ())
    return Work(chunk_set, envelope, b"token", None, source, 1, None)


@pytest.fixture
def indexes() -> Indexes:
    return Indexes()


@pytest.fixture
def model() -> ChunkModel:
    return ChunkModel()


@pytest.fixture
def log() -> Tombstones:
    return Tombstones()


@pytest.fixture
def stage(indexes: Indexes, model: ChunkModel, log: Tombstones) -> Embedding:
    embedding = cast("EmbeddingModel", model)
    serving = ServingIndex(cast("IndexRegistry", indexes), embedding, "c1")
    writer = cast("IndexWriter", indexes)
    catalogue, publisher = cast("CatalogueWriter", indexes), cast("Publisher", log)
    return Embedding(catalogue, writer, serving, embedding, publisher)


async def test_an_index_that_is_gone_is_asked_for_anew(stage: Embedding, indexes: Indexes) -> None:
    await stage.process(work())
    indexes.serving = "second"
    with pytest.raises(StageFailure) as failure:
        await stage.process(work())
    assert failure.value.retry is Retry.UNTIL_BACK
    await stage.process(work())
    assert indexes.written == ["first", "second"]


async def test_no_version_is_given_up_because_another_index_serves(
    stage: Embedding, indexes: Indexes
) -> None:
    indexes.mismatch = True
    with pytest.raises(StageFailure) as failure:
        await stage.process(work())
    assert failure.value.retry is Retry.UNTIL_BACK


async def test_a_version_that_is_too_slow_to_write_is_not_tried_for_ever(
    stage: Embedding, indexes: Indexes
) -> None:
    indexes.slow = True
    with pytest.raises(StageFailure) as failure:
        await stage.process(work())
    assert failure.value.retry is Retry.BRIEFLY


async def test_a_version_of_too_many_chunks_is_given_up_before_anything_is_paid(
    stage: Embedding, model: ChunkModel
) -> None:
    with pytest.raises(StageFailure) as failure:
        await stage.process(work(*["w"] * (MOST_CHUNKS + 1)))
    assert failure.value.retry is Retry.NEVER
    assert failure.value.reason == ErrorReason.ERROR_REASON_DOCUMENT_TEXT_TOO_LARGE
    assert model.paid == []


async def test_a_text_is_paid_for_once_though_its_version_cannot_be_written_at_first(
    stage: Embedding, indexes: Indexes, model: ChunkModel
) -> None:
    await stage.process(work())
    indexes.serving = "second"
    with pytest.raises(StageFailure):
        await stage.process(work("The weir.", "The dam."))
    await stage.process(work("The weir.", "The dam."))
    assert indexes.written == ["first", "second"]
    assert model.paid == ["The weir.", "The dam."]


async def test_what_is_indexed_is_remembered_by_the_index_alone(
    stage: Embedding, model: ChunkModel
) -> None:
    for _ in range(2):  # this index knows no vectors
        await stage.process(work("The weir."))
    assert model.paid == ["The weir.", "The weir."]


async def test_a_version_that_has_lost_is_ended_in_the_log_and_not_paid_for(
    stage: Embedding, indexes: Indexes, model: ChunkModel, log: Tombstones
) -> None:
    indexes.lost = True
    await stage.process(work("The weir."))
    assert (log.keys, model.paid, indexes.written) == ([KEY], [], [])


@pytest.mark.parametrize("outcome", [Outcome.SUPERSEDED, Outcome.DELETED, Outcome.REFUSED])
async def test_a_version_that_loses_while_it_is_embedded_is_ended_in_the_log(
    stage: Embedding, indexes: Indexes, log: Tombstones, outcome: Outcome
) -> None:
    indexes.outcome = outcome
    await stage.process(work("The weir."))
    assert log.keys == [KEY]


@pytest.mark.parametrize("outcome", Outcome)
async def test_what_cannot_be_indexed_is_ended_in_the_log_if_it_has_lost(
    stage: Embedding, indexes: Indexes, log: Tombstones, outcome: Outcome
) -> None:
    indexes.outcome = outcome
    empty, given_up = work(), work("The weir.")
    empty.message.error.SetInParent()
    await stage.process(empty)
    await stage.give_up(given_up, RuntimeError("the model refuses"))
    assert log.keys == ([] if outcome is Outcome.ACCEPTED else [KEY, KEY])


async def test_what_stands_is_not_ended(stage: Embedding, log: Tombstones) -> None:
    await stage.process(work("The weir."))
    assert log.keys == []
