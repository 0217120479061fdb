"""Ranking, publishing and the reuse of vectors."""

import asyncio
import dataclasses
import hashlib
from typing import Any

import pytest

from forebay_postgres import DocumentKey, DocumentVersion, IndexRegistry, Permissions, Ranking
from forebay_postgres.errors import (
    IndexWithdrawn,
    InvalidStoredText,
    ServingIndexMismatch,
    ServingIndexMissing,
    WrongDimensions,
)

ME = Permissions("acme", 3)


async def order(
    storage: Any, question: str, vector: Any, ranking: Ranking = Ranking.HYBRID
) -> list[str]:
    found = await storage.retriever.search(ME, storage.index, question, vector, 10, ranking=ranking)
    return [passage.text for passage in found]


async def publish(storage: Any, make: Any, *texts: str, vectors: Any = None, at: int = 1) -> Any:
    return await storage.indexer.publish(
        make.version(at), storage.index.id, make.passages(*texts, vectors=vectors)
    )


async def test_a_found_passage_is_the_one_that_was_published(storage: Any, make: Any) -> None:
    await publish(storage, make, "zero", "Grüße aus Köln")
    found = await storage.retriever.search(ME, storage.index, "Köln", (1, 0, 0), 1)
    (passage,) = found
    assert (passage.key, passage.version, passage.ordinal) == (make.key, make.id(1), 1)
    assert (passage.text, passage.title) == ("Grüße aus Köln", "Title 1")
    assert passage.heading_path == ("Chapter",)
    assert (passage.span_start, passage.span_end) == (100, 100 + len("Grüße aus Köln".encode()))
    assert passage.source_uri == "https://example.test/1"


async def test_vectors_rank_by_angle_and_not_by_length(storage: Any, make: Any) -> None:
    vectors = [(0.0, 9.0, 0.0), (0.1, 0.0, 0.0), (5.0, 5.0, 0.0)]
    await publish(storage, make, "across", "along", "between", vectors=vectors)
    assert await order(storage, "", (1, 0, 0), Ranking.VECTORS) == ["along", "between", "across"]


async def test_text_ranks_by_any_of_the_words_of_the_question(storage: Any, make: Any) -> None:
    await publish(storage, make, "nothing here", "the refund", "a refund takes thirty days")
    question = "How many days does a refund take?"
    assert await order(storage, question, (1, 0, 0), Ranking.TEXT) == [
        "a refund takes thirty days",
        "the refund",
    ]


async def test_words_of_headings_count(storage: Any, make: Any) -> None:
    (passage,) = make.passages("Within thirty days.")
    under = dataclasses.replace(passage, heading_path=("Refunds",))
    await storage.indexer.publish(make.version(1), storage.index.id, [under])
    assert await order(storage, "refund", (1, 0, 0), Ranking.TEXT) == ["Within thirty days."]


async def test_a_passage_that_both_rankings_find_beats_the_best_of_one(
    storage: Any, make: Any
) -> None:
    vectors = [(1.0, 0.0, 0.0), (0.9, 0.1, 0.0), (0.0, 1.0, 0.0)]
    await publish(storage, make, "nearest", "near refund", "refund refund", vectors=vectors)
    found = await storage.retriever.search(ME, storage.index, "refund", (1, 0, 0), 3)
    places = {"nearest": [1], "near refund": [2, 2], "refund refund": [3, 1]}
    expected = {text: sum(1 / (60 + p) for p in of) for text, of in places.items()}
    assert {p.text: p.score for p in found} == pytest.approx(expected)
    assert [p.text for p in found] == sorted(expected, key=expected.__getitem__, reverse=True)


async def test_a_question_of_stop_words_still_ranks_by_vectors(storage: Any, make: Any) -> None:
    await publish(storage, make, "something")
    assert await order(storage, "the of and", (1, 0, 0)) == ["something"]
    assert await order(storage, "the of and", (1, 0, 0), Ranking.TEXT) == []


async def test_a_vector_without_direction_is_found_by_its_words_alone(
    storage: Any, make: Any
) -> None:
    await publish(storage, make, "refund", vectors=[(0.0, 0.0, 0.0)])
    assert await order(storage, "refund", (1, 0, 0), Ranking.VECTORS) == []
    assert await order(storage, "refund", (1, 0, 0)) == ["refund"]
    assert await order(storage, "refund", (0, 0, 0)) == ["refund"]


@pytest.mark.parametrize(
    "question", ["a\0b refund", "refund \ud800", "'refund' & | !", "\\ refund"]
)
async def test_no_question_is_too_odd_to_ask(storage: Any, make: Any, question: str) -> None:
    await publish(storage, make, "refund")
    assert await order(storage, question, (1, 0, 0), Ranking.TEXT) == ["refund"]


async def test_a_pasted_page_is_a_question_too(storage: Any, make: Any) -> None:
    await publish(storage, make, "refund")
    page = "refund " + " ".join(f"word{number}" for number in range(20_000))
    assert await order(storage, page, (1, 0, 0), Ranking.TEXT) == ["refund"]


async def test_readers_see_one_version_or_the_other_and_never_a_mixture(
    storage: Any, make: Any
) -> None:
    count, versions = 40, 8
    finished = asyncio.Event()
    seen: set[tuple[str, ...]] = set()

    async def read() -> None:
        while not finished.is_set():
            found = await storage.retriever.search(ME, storage.index, "", (1, 0, 0), 100)
            seen.add(tuple(sorted(f"{p.version} {p.text}" for p in found)))

    async def write() -> None:
        for at in range(versions):
            texts = [f"v{at} p{number}" for number in range(count + at)]
            await publish(storage, make, *texts, at=at)
        finished.set()

    await publish(storage, make, *[f"v0 p{number}" for number in range(count)], at=0)
    await asyncio.gather(write(), *(read() for _ in range(3)))
    whole = {
        tuple(sorted(f"{make.id(at)} v{at} p{number}" for number in range(count + at)))
        for at in range(versions)
    }
    assert seen <= whole
    assert len(seen) > 1


async def test_of_writers_at_the_same_time_the_highest_version_stays(
    storage: Any, make: Any
) -> None:
    order_of_arrival = [5, 1, 8, 3, 7, 2, 6, 4]
    verdicts = await asyncio.gather(
        *(publish(storage, make, f"text {at}", at=at) for at in order_of_arrival)
    )
    assert verdicts[order_of_arrival.index(8)].accepted
    assert await order(storage, "text", (1, 0, 0)) == ["text 8"]


async def test_publishing_again_changes_nothing(storage: Any, make: Any) -> None:
    assert (await publish(storage, make, "one", "two")).accepted
    assert (await publish(storage, make, "one", "two")).accepted
    assert sorted(await order(storage, "", (1, 0, 0))) == ["one", "two"]


async def test_a_document_without_passages_is_indexed(storage: Any, make: Any) -> None:
    await publish(storage, make)
    assert await storage.published(make.version(1))
    assert (await storage.reader.get(ME, make.key)).state == "INDEXED"


async def test_known_vectors_stay_within_the_tenant(storage: Any, make: Any) -> None:
    await publish(storage, make, "shared words", vectors=[(0.5, 0.25, 0.0)])
    digest = hashlib.sha256(b"shared words").digest()
    ours, model = make.version(2), storage.index.embedding_model
    theirs = dataclasses.replace(ours, tenant="rival")

    async def known(version: DocumentVersion, model: str, hashes: list[bytes]) -> object:
        found = await storage.indexer.look_up(version, storage.index.id, model, hashes)
        return {digest: vector.tolist() for digest, vector in found.vectors.items()}

    assert await known(ours, model, [digest, bytes(32)]) == {digest: [0.5, 0.25, 0.0]}
    assert await known(theirs, model, [digest]) == {}
    assert await known(ours, "another model", [digest]) == {}
    assert await known(ours, model, []) == {}


async def test_a_vector_of_another_length_is_refused(storage: Any, make: Any) -> None:
    with pytest.raises(WrongDimensions, match="holds 3 dimensions, the vector has 2"):
        await publish(storage, make, "short", vectors=[(1.0, 0.0)])
    with pytest.raises(WrongDimensions):
        await order(storage, "short", (1.0, 0.0))
    assert await storage.reader.get(ME, make.key) is None


@pytest.mark.parametrize("text", ["nul \0", "half \ud800"])
async def test_text_that_cannot_be_stored_is_named_and_not_stored(
    storage: Any, make: Any, text: str
) -> None:
    passage = dataclasses.replace(make.passages("good")[0], text=text)
    with pytest.raises(InvalidStoredText, match=r"passages\[0\].text"):
        await storage.indexer.publish(make.version(1), storage.index.id, [passage])
    with pytest.raises(InvalidStoredText, match="title"):
        dataclasses.replace(make.version(1), title=text)
    with pytest.raises(InvalidStoredText, match="labels"):
        make.version(1, labels={"a": text})
    with pytest.raises(InvalidStoredText, match="name"):
        DocumentKey("acme", text, "d")
    with pytest.raises(InvalidStoredText, match="collections"):
        await storage.retriever.search(ME, storage.index, "q", (1, 0, 0), 1, collections=[text])
    assert await storage.reader.get(ME, make.key) is None


async def test_any_number_of_writers_register_one_serving_index(storage: Any) -> None:
    registered = await asyncio.gather(
        *(storage.registry.ensure_serving_index("words-3", 3, "chunking-1") for _ in range(6))
    )
    assert {index.id for index in registered} == {storage.index.id}
    assert await storage.retriever.serving_index() == storage.index


@pytest.mark.parametrize("wanted", [("other", 3, "chunking-1"), ("words-3", 3, "chunking-2")])
async def test_another_model_is_refused_and_both_are_named(
    storage: Any, wanted: tuple[str, int, str]
) -> None:
    with pytest.raises(ServingIndexMismatch) as raised:
        await storage.registry.ensure_serving_index(*wanted)
    assert "words-3 (3 dimensions, chunking chunking-1)" in str(raised.value)
    assert f"{wanted[0]} (3 dimensions, chunking {wanted[2]})" in str(raised.value)


async def set_state(storage: Any, state: str) -> None:
    async with storage.catalogue._pool.transaction() as connection:
        await connection.execute("UPDATE indexes SET state = %s", (state,))


async def test_a_withdrawn_index_is_neither_searched_nor_written(storage: Any, make: Any) -> None:
    await publish(storage, make, "text")
    await set_state(storage, "STANDBY")
    assert await order(storage, "text", (1, 0, 0)) == ["text"]
    with pytest.raises(ServingIndexMissing):
        await storage.retriever.serving_index()
    await set_state(storage, "DELETED")
    with pytest.raises(IndexWithdrawn):
        await order(storage, "text", (1, 0, 0))
    with pytest.raises(IndexWithdrawn):
        await publish(storage, make, "text", at=2)


async def test_a_registry_finds_an_index_by_its_id(storage: Any) -> None:
    assert isinstance(storage.registry, IndexRegistry)
    assert await storage.registry.get(storage.index.id) == storage.index
    assert await storage.registry.get("index-unknown") is None
