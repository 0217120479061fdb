"""Through the whole system, everybody finds in a few worlds what plain rules say."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest

from forebay.client import AsyncClient
from forebay.policy.v1 import Visibility
from forebay.query.v1 import SubmitQueryRequest
from forebay.records.v1 import ChunkSet, DocumentRecord, DocumentUpdate
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.system import System

from ..postgres.worlds import (  # noqa: TID252 tests are no package
    GROUPS,
    Person,
    State,
    World,
    Write,
    after,
    found,
    world,
)
from .conftest import Connect
from .log import LogProbe, log_probe
from .policy_edits import PolicyEdits, until_caller

SEEDS = range(1, 7)
TIERS = {1: "free", 2: "standard", 3: "enterprise"}
MOST = {1: 5, 2: 10, 3: 20}  # passages that each tier gets


@pytest.fixture
def probe(system: System) -> Iterator[LogProbe]:
    with log_probe(system) as opened:
        yield opened


@pytest.mark.over_grpc_alone("takes seconds; HTTP carries the same questions")
async def test_everybody_finds_what_plain_rules_say(
    connect: Connect, policy_edits: PolicyEdits, probe: LogProbe, models: ModelServer
) -> None:
    worlds = [world(seed) for seed in SEEDS]
    began = int(time.time() * 1000) - 60_000
    states = await asyncio.gather(*(written(connect, each, began) for each in worlds))
    for group, record in (
        ("cataloguing", DocumentRecord),
        ("cataloguing", DocumentUpdate),
        ("chunking", DocumentRecord),
        ("embedding", ChunkSet),
    ):
        await asyncio.to_thread(probe.wait_caught_up, f"forebay.{group}", record)
    shares = [share for each in worlds for share in each.shares]
    policy_edits.write(
        shared=[
            {
                "owner": s.owner,
                "collection": s.collection,
                "alias": s.alias,
                "tenants": [s.receiver],
            }
            for s in shares
        ]
    )
    receiver = connect(tenant=shares[0].receiver)
    await until_caller(receiver, lambda me: bool(me.shared_collections))
    people = [
        (each, state, replace(person, shares=received(each, person)))
        for each, state in zip(worlds, states, strict=True)
        for person in each.people
    ]
    await asyncio.gather(*(judge(connect, *each) for each in people))
    assert sum(len(found(state, person)) for _, state, person in people) > 2 * len(worlds)


async def written(connect: Connect, played: World, began: int) -> State:
    """Write all of a world, by people who may; what holds once all of it has arrived."""
    authors = {tenant: connect(tenant=tenant, groups=GROUPS) for tenant in played.tenants}
    state: State = {}
    for write in (*played.first, *played.writes):
        # Who lacks clearance is refused or not by what came first, which nobody knows here.
        allowed = replace(write, clearance=3, kind=write.kind.replace("ACCEPT", "PUBLISH"))
        await send(authors[write.key.tenant], allowed, began)
        state = after(state, allowed)
    return state


async def send(author: AsyncClient, write: Write, began: int) -> None:
    _, collection, document = write.key
    name = f"collections/{collection}/documents/{document}"
    request_id = str(UUID(int=(began + 100 * write.at) << 80 | 7 << 76 | 2 << 62))
    named = {"visibility": write.visibility, "readers": write.readers, "labels": write.labels}
    fields = {key: value for key, value in named.items() if value is not None}
    if write.kind == "DELETE":
        await author.delete_document(name, request_id=request_id)
    elif write.kind == "UPDATE":
        await author.update_document(name, request_id=request_id, **fields)  # type: ignore[arg-type]
    else:
        text = f"fact {'/'.join(write.key)} {write.at}"
        await author.ingest(collection, document, text=text, request_id=request_id, **fields)  # type: ignore[arg-type]


def received(played: World, person: Person) -> tuple[object, ...]:
    """What policy shares with a person: all, at one time."""
    return tuple(share for share in played.shares if share.receiver == person.tenant)


async def judge(connect: Connect, played: World, state: State, person: Person) -> None:
    client = connect(TIERS[person.clearance], tenant=person.tenant, groups=person.groups)
    stream = client.ask(
        "Which fact?",
        collections=person.collections or (),
        filter=person.labels,
        mode=SubmitQueryRequest.MODE_RETRIEVE_ONLY,
    )
    passages = (await stream.answer()).passages
    seen = {(*place(p.document), int(p.text.split()[-1])) for p in passages}
    permitted = found(state, person)
    assert len(permitted) <= MOST[person.clearance]
    assert seen == permitted, f"world {played.seed}: {person}"
    assert all(p.visibility <= Visibility.ValueType(person.clearance) for p in passages)


def place(name: str) -> tuple[str, str]:
    _, collection, _, document = name.split("/")
    return collection, document
