"""Embedding outlives the index that it writes to, and blames no version for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import pytest

from forebay.policy.v1 import Visibility
from forebay.records.v1 import ChunkSet
from forebay_kafka.envelope import Envelope, Statement
from forebay_kafka.identity import GenerationLimits, Identity
from forebay_kafka.records import Received
from forebay_postgres import CatalogueWriter, IndexRegistry, IndexWriter
from forebay_postgres.documents import DocumentVersion
from forebay_postgres.errors import IndexWithdrawn, ServingIndexMismatch
from forebay_workers.embedding.serving_index import ServingIndex
from forebay_workers.embedding.stage import Embedding
from forebay_workers.models.embedding_model import EmbeddingModel
from forebay_workers.record_loop.stage import Retry, Work
from forebay_workers.stage_failure import StageFailure

NAME = "collections/manuals/documents/turbine"
VERSION = "01890a5d-ac96-774b-bcce-b302099a8057"


@dataclass(frozen=True)
class Registered:
    id: str


class Indexes:
    """A registry and a writer of one index at a time; `mismatch` says that another serves."""

    def __init__(self) -> None:
        self.serving = "first"
        self.mismatch = False
        self.written: list[str] = []

    async def ensure_serving_index(self, *_: object) -> Registered:
        if self.mismatch:
            raise ServingIndexMismatch(serving="theirs", wanted="ours")
        return Registered(self.serving)

    async def published(self, *_: object) -> bool:
        return False

    async def known_vectors(self, *_: object) -> dict[bytes, list[float]]:
        return {}

    async def publish(
        self, version: DocumentVersion, index_id: str, _passages: Sequence[object]
    ) -> None:
        if index_id != self.serving:
            raise IndexWithdrawn(index_id, None)
        assert version.version == UUID(VERSION)
        self.written.append(index_id)


class ChunkModel:
    name = "m"
    dimensions = 2


def work() -> Work[ChunkSet]:
    identity = Identity(
        "i", "acme", "ada", "t", Visibility.VISIBILITY_INTERNAL, (), GenerationLimits("", 1, 1), "1"
    )
    chunk_set = ChunkSet(name=NAME, version=VERSION, chunks=ChunkSet.Chunks())
    envelope = Envelope(identity, "", "", Statement(NAME), 0)
    source = Received("forebay.chunks.v1", 0, 0, 0, b"k", b"", ())
    return Work(chunk_set, envelope, b"token", None, source, 1, None)


@pytest.fixture
def indexes() -> Indexes:
    return Indexes()


@pytest.fixture
def stage(indexes: Indexes) -> Embedding:
    model = cast("EmbeddingModel", ChunkModel())
    serving = ServingIndex(cast("IndexRegistry", indexes), model, "c1")
    return Embedding(cast("CatalogueWriter", None), cast("IndexWriter", indexes), serving, model)


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
