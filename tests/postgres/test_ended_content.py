"""The log forgets what was replaced or deleted, however far indexing and cataloguing are apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast
from uuid import UUID

import pytest

from forebay.policy.v1 import Visibility
from forebay.records.v1 import DocumentRecord, DocumentUpdate
from forebay_kafka.envelope import Envelope, Statement
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.identity import GenerationLimits, Identity
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import Received
from forebay_postgres import DocumentKey
from forebay_workers.cataloguing.stage import Cataloguing
from forebay_workers.record_loop.stage import Work

VERSIONS = (10, 20, 30)
LIMITS = GenerationLimits("", 1, 1)
CONFIDENTIAL = Visibility.VISIBILITY_CONFIDENTIAL


class Tombstones:
    """A log that takes tombstones of documents, unless it is away."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.away = False

    async def tombstone(self, record: type, *, key: str, partition_key: str) -> None:
        assert record is DocumentRecord
        assert key.startswith(f"{partition_key}@")
        if self.away:
            raise LogUnavailable("the log did not acknowledge in time")
        self.keys.append(key)


class Document:
    """One document, with its records in the log and those who read them."""

    def __init__(self, storage: Any, make: Any, name: str = "handbook") -> None:
        self.log = Tombstones()
        self._storage, self._make = storage, make
        self._key = DocumentKey("acme", "default", name)
        self._stage = Cataloguing(storage.catalogue, cast("Publisher", self.log))

    async def catalogue(self, at: int, *, clearance: Visibility.ValueType = CONFIDENTIAL) -> None:
        record = DocumentRecord(version=str(self._make.id(at)))
        record.accept_time.FromDatetime(self._make.version(at).accept_time)
        await self._stage.process(self._work(record, clearance))

    async def give_up(self, at: int) -> None:
        record = DocumentRecord(version=str(self._make.id(at)))
        await self._stage.give_up(self._work(record), LogUnavailable("it is away"))

    async def catalogue_deletion(self, at: int) -> None:
        record = DocumentUpdate(version=str(self._make.id(at)))
        record.deletion.SetInParent()
        await self._stage.process(self._work(record))

    async def index(self, at: int) -> None:
        version = self._make.version(at, self._key, visibility=CONFIDENTIAL)
        await self._storage.indexer.publish(version, self._storage.index.id, [])

    def ended(self) -> list[UUID]:
        return [UUID(key.rpartition("@")[2]) for key in self.log.keys]

    def _work(
        self,
        record: DocumentRecord | DocumentUpdate,
        clearance: Visibility.ValueType = CONFIDENTIAL,
    ) -> Work[Any]:
        key = self._key
        name = f"collections/{key.collection}/documents/{key.document_id}"
        identity = Identity("i", key.tenant, "ada", "t", clearance, (), LIMITS, "1")
        envelope = Envelope(identity, "", "", Statement(name, CONFIDENTIAL), 0)
        source = Received("documents", 0, 0, 0, b"k", b"", ())
        return Work(record, envelope, b"token", None, source, 1, None)


@pytest.fixture
def document(storage: Any, make: Any) -> Document:
    return Document(storage, make)


def interleavings(*lanes: Sequence[Any]) -> Iterator[list[Any]]:
    """Every order in which the steps of all lanes can come, each lane in its own."""
    if not any(lanes):
        yield []
    for number, lane in enumerate(lanes):
        if lane:
            rest = (*lanes[:number], lane[1:], *lanes[number + 1 :])
            yield from ([lane[0], *later] for later in interleavings(*rest))


@pytest.mark.parametrize("deletion", [None, 15, 25, 35])
async def test_all_versions_but_the_living_one_are_ended_whoever_reads_first(
    storage: Any, make: Any, deletion: int | None
) -> None:
    living = {make.id(VERSIONS[-1])} if deletion is None or deletion < VERSIONS[-1] else set()
    steps = [
        [("catalogue", at) for at in VERSIONS],
        [("index", at) for at in VERSIONS],
        [] if deletion is None else [("catalogue_deletion", deletion)],
    ]
    for number, order in enumerate(interleavings(*steps)):
        document = Document(storage, make, f"document-{number}")
        for step, at in order:
            await getattr(document, step)(at)
        assert set(document.ended()) == {make.id(at) for at in VERSIONS} - living, order


@pytest.mark.parametrize("indexed", [(), (20, 30)], ids=["in step", "indexing ahead"])
async def test_what_the_log_did_not_take_is_ended_by_the_next_record_of_the_document(
    document: Document, make: Any, indexed: Sequence[int]
) -> None:
    await document.catalogue(10)
    document.log.away = True
    for at in indexed:
        await document.index(at)
    for at in (20, 30):
        with pytest.raises(LogUnavailable):
            await document.catalogue(at)
    document.log.away = False
    await document.catalogue_deletion(40)
    assert set(document.ended()) == {make.id(at) for at in VERSIONS}


async def test_who_gives_a_version_up_ends_what_it_replaced(document: Document, make: Any) -> None:
    await document.catalogue(10)
    document.log.away = True
    with pytest.raises(LogUnavailable):
        await document.catalogue(20)
    document.log.away = False
    await document.give_up(20)
    assert document.ended() == [make.id(10)]


async def test_what_was_ended_is_not_ended_again(document: Document, make: Any) -> None:
    for at in VERSIONS:
        await document.catalogue(at)
    await document.catalogue_deletion(40)
    await document.catalogue_deletion(40)
    assert document.ended() == [make.id(at) for at in VERSIONS]


@pytest.mark.parametrize("end", ["catalogue", "catalogue_deletion"])
async def test_what_was_refused_is_ended_with_what_it_could_not_replace(
    document: Document, make: Any, end: str
) -> None:
    await document.catalogue(10)
    await document.catalogue(20, clearance=Visibility.VISIBILITY_PUBLIC)
    assert document.ended() == []
    await getattr(document, end)(30)
    assert set(document.ended()) == {make.id(10), make.id(20)}
