"""In hundreds of worlds everybody finds what plain rules say, and the database says the same.

Writes arrive while people ask. Each answer has to be that of one moment between the last write that
was done when its question began and the last that had begun when its answer came.
`FOREBAY_ORACLE_WORLDS` is how many worlds, `FOREBAY_ORACLE_SEED` the seed of the first one.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from forebay_postgres import AccessUpdate, DocumentKey, Permissions, SharedCollection
from forebay_postgres.permissions import assume

from .worlds import Person, State, World, Write, found, may_read, world

WORLDS = int(os.environ.get("FOREBAY_ORACLE_WORLDS", "500"))
FIRST_SEED = int(os.environ.get("FOREBAY_ORACLE_SEED", "1"))
AT_ONCE = 6  # worlds; each has a writer and several readers, and a pool has 8 connections
QUESTION = ("fact", (1.0, 0.0, 0.0), 100)
_VISIBLE = """
    SELECT tenant, collection, document_id, content FROM forebay.passages
    WHERE index_id = %s AND tenant = ANY (%s)
"""

Ask = Callable[[Person], "asyncio.Future[set[Any]]"]


def text_of(key: Sequence[str], at: int) -> str:
    return f"fact {'/'.join(key)} {at}"


def permissions(person: Person) -> Permissions:
    shared = (SharedCollection(s.alias, s.owner, s.collection) for s in person.shares)
    return Permissions(person.tenant, person.clearance, person.groups, tuple(shared))


class Stage:
    """A world on the database: what is written and what is read."""

    def __init__(self, storage: Any, make: Any, played: World) -> None:
        self.played = played
        self.begun = self.done = 0
        self._storage = storage
        self._make = make

    async def write_all(self) -> None:
        for write in self.played.writes:
            self.begun += 1
            await self.write(write)
            self.done += 1

    async def write(self, write: Write) -> None:
        key = DocumentKey(*write.key)
        if write.kind == "DELETE":
            when = self._make.version(write.at).accept_time
            await self._storage.catalogue.delete(
                key, self._make.id(write.at), writer_clearance=write.clearance, accept_time=when
            )
        elif write.kind == "UPDATE":
            await self._storage.catalogue.update(self._update(key, write))
        else:
            version = self._make.version(
                write.at, key, visibility=write.visibility, readers=write.readers,
                labels=write.labels, clearance=write.clearance,
            )  # fmt: skip
            if write.kind == "ACCEPT":
                await self._storage.catalogue.accept(version)
                return
            passages = self._make.passages(text_of(write.key, write.at))
            await self._storage.indexer.publish(version, self._storage.index.id, passages)

    async def asks(self, person: Person) -> set[Any]:
        """What the retriever finds: names as the person knows them."""
        passages = await self._storage.retriever.search(
            permissions(person), self._storage.index, *QUESTION,
            collections=person.collections, labels=person.labels,
        )  # fmt: skip
        assert len({(p.key, p.ordinal) for p in passages}) == len(passages)
        return {(p.key.collection, p.key.document_id, int(p.text.split()[-1])) for p in passages}

    async def looks(self, person: Person) -> set[Any]:
        """What row-level security alone lets through of all that the world has."""
        async with self._storage.reader._pool.transaction() as connection:
            await assume(connection, permissions(person))
            values = (self._storage.index.id, list(self.played.tenants))
            return set(await (await connection.execute(_VISIBLE, values)).fetchall())

    def _update(self, key: DocumentKey, write: Write) -> AccessUpdate:
        return AccessUpdate(
            key=key,
            version=self._make.id(write.at),
            accept_time=self._make.version(write.at).accept_time,
            writer_clearance=write.clearance,
            visibility=write.visibility,
            readers=write.readers,
            labels=write.labels,
        )

    async def require(
        self, read: Callable[[Person], Any], judge: Callable[[State, Person], Any], person: Person
    ) -> None:
        earliest = self.done
        seen = await read(person)
        moments = self.played.states[earliest : self.begun + 1]
        permitted = [judge(state, person) for state in moments]
        assert seen in permitted, (
            f"world {self.played.seed}: {person} sees {sorted(seen)} by {read.__name__}, "
            f"and may see {sorted(permitted[0])} at first and {sorted(permitted[-1])} at last"
        )


def visible(state: State, person: Person) -> set[Any]:
    return {
        (*key, text_of(key, document.text))
        for key, document in state.items()
        if may_read(key, document, person)
    }


async def play(storage: Any, make: Any, seed: int) -> int:
    """One world from its beginning to its end; returns how much was found in it."""
    stage = Stage(storage, make, world(seed))
    people = stage.played.people
    for write in stage.played.first:
        await stage.write(write)
    async with asyncio.TaskGroup() as together:
        together.create_task(stage.write_all())
        for person in people:
            together.create_task(stage.require(stage.asks, found, person))
    await stage.require(stage.asks, found, people[0])
    await stage.require(stage.looks, visible, people[0])
    return sum(len(found(stage.played.states[-1], person)) for person in people)


@pytest.mark.timeout(max(120, WORLDS))
async def test_everybody_finds_what_plain_rules_say_while_documents_change(
    storage: Any, make: Any
) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(seed: int) -> int:
        async with turns:
            return await play(storage, make, seed)

    async with asyncio.TaskGroup() as playing:
        worlds = [playing.create_task(in_turn(FIRST_SEED + number)) for number in range(WORLDS)]
    # Worlds in which nobody finds anything would prove nothing.
    assert sum(each.result() for each in worlds) > 2 * WORLDS
