"""A vendor's knowledge serves its customers, each by its tier, for as long as policy shares it."""

import asyncio
from dataclasses import dataclass
from uuid import uuid4

import pytest

from forebay.client import AsyncAnswerStream, AsyncClient, NotFound, PermissionDenied
from forebay.errors.v1 import ErrorReason
from forebay.query.v1 import AnswerEvent, SubmitQueryRequest
from forebay_benchmarks.model_server.process import ModelServer

from .conftest import Connect
from .policy_edits import HOLDS_SECONDS, PolicyEdits, until_caller

QUESTION = "What is the secret word of the gate?"
ALIAS = "vendor-manuals"
SLOW = {"kinds": ("chat",), "tokens_per_second": 5.0, "answer_tokens": 100}


def planted(kind: str) -> str:
    return f"The {kind} secret word of the gate is canary-{kind}."


@dataclass(frozen=True)
class Market:
    """A vendor with its documents, and a customer that shall receive one of its collections."""

    vendor: str
    customer: str

    @property
    def shares(self) -> list[dict[str, object]]:
        received = {"alias": ALIAS, "tenants": [self.customer]}
        return [{"owner": self.vendor, "collection": "manuals", **received}]


@pytest.fixture
async def market(connect: Connect, tenant: str) -> Market:
    market = Market(f"v-{uuid4().hex[:12]}", tenant)
    vendor = connect(tenant=market.vendor, groups=("staff",))
    customer = connect()
    receipts = [
        (vendor, await vendor.ingest("manuals", "open", text=planted("open"), visibility="public")),
        (vendor, await vendor.ingest("manuals", "secret", text=planted("secret"))),
        (vendor, await vendor.ingest("manuals", "staff", text=planted("staff"), readers=["staff"])),
        (vendor, await vendor.ingest("drafts", "draft", text=planted("draft"))),
        (customer, await customer.ingest("manuals", "own", text=planted("own"))),
        (customer, await customer.ingest(ALIAS, "open", text=planted("shadowed"))),
    ]
    await asyncio.gather(*(who.wait_indexed(each.name, each.etag) for who, each in receipts))
    return market


async def heard(client: AsyncClient, *collections: str) -> set[str]:
    """Which documents are found, by what is planted in each and the name that it goes by."""
    asked = client.ask(
        QUESTION, collections=collections, mode=SubmitQueryRequest.MODE_RETRIEVE_ONLY
    )
    passages = (await asked.answer()).passages
    return {f"{p.document} {p.text.split('canary-')[1].strip('.')}" for p in passages}


def named(document: str, collection: str = ALIAS, kind: str = "") -> str:
    return f"collections/{collection}/documents/{document} {kind or document}"


async def test_what_a_vendor_shares_is_read_by_tier_and_under_the_alias_alone(
    market: Market, connect: Connect, policy_edits: PolicyEdits, models: ModelServer
) -> None:
    free, enterprise = connect("free"), connect(groups=("staff",))
    before = {named("own", "manuals"), named("open", ALIAS, "shadowed")}
    assert await heard(enterprise) == before
    policy_edits.write(shared=market.shares)
    await until_caller(enterprise, lambda me: [*me.shared_collections] == [f"collections/{ALIAS}"])

    shared = {named("open"), named("secret")}
    assert await heard(free) == {named("open")}
    assert await heard(enterprise) == {named("own", "manuals"), *shared}
    assert await heard(enterprise, ALIAS) == shared
    assert await heard(enterprise, "manuals") == {named("own", "manuals")}
    assert await heard(enterprise, "drafts") == set()
    assert await heard(connect(tenant=f"t-{uuid4().hex[:12]}"), ALIAS) == set()
    await require_a_view_to_read(enterprise)
    events = [event async for event in enterprise.ask(QUESTION)]
    assert events[-1].HasField("completed")
    assert "canary-" in events[-1].completed.answer
    assert not any(market.vendor.encode() in event.SerializeToString() for event in events)


async def require_a_view_to_read(customer: AsyncClient) -> None:
    name = f"collections/{ALIAS}/documents/open"
    assert [document.name async for document in customer.list_documents(ALIAS)] == [
        name,
        f"collections/{ALIAS}/documents/secret",
    ]
    assert (await customer.get_document(name)).name == name
    with pytest.raises(NotFound):
        await customer.get_document(f"collections/{ALIAS}/documents/staff")
    with pytest.raises(PermissionDenied) as refused:
        await customer.delete_document(name)
    assert refused.value.reason == ErrorReason.ERROR_REASON_COLLECTION_READ_ONLY


@pytest.mark.over_grpc_alone("takes seconds; both transports are judged by the one chain")
async def test_a_withdrawn_share_holds_within_seconds_for_questions_and_for_running_answers(
    market: Market, connect: Connect, policy_edits: PolicyEdits, models: ModelServer
) -> None:
    customer = connect()
    policy_edits.write(shared=market.shares)
    await until_caller(customer, lambda me: bool(me.shared_collections))
    models.behave(**SLOW)
    followed = customer.ask(QUESTION, collections=[ALIAS])
    await read_up_to_passages(followed)
    unread = await customer.submit(QUESTION, collections=[ALIAS])

    policy_edits.write(shared=[])
    async with asyncio.timeout(HOLDS_SECONDS):
        await until_withdrawn(followed)
        while named("open") in await heard(customer):
            continue
    assert await heard(customer, ALIAS) == {named("open", ALIAS, "shadowed")}
    seen = await until_withdrawn(customer.follow(unread.name))
    assert not any(b"canary-" in event.SerializeToString() for event in seen)
    with pytest.raises(PermissionDenied):
        await customer.get_query(unread.name)


async def read_up_to_passages(stream: AsyncAnswerStream) -> None:
    async for event in stream:
        if event.HasField("retrieved"):
            return


async def until_withdrawn(stream: AsyncAnswerStream) -> list[AnswerEvent]:
    """What comes of an answer before it ends because it rests on what is shared no more."""
    seen: list[AnswerEvent] = []
    with pytest.raises(PermissionDenied) as refused:
        await collect(stream, seen)
    assert refused.value.reason == ErrorReason.ERROR_REASON_SHARE_WITHDRAWN
    assert refused.value.metadata == {"collection": ALIAS}
    return seen


async def collect(stream: AsyncAnswerStream, seen: list[AnswerEvent]) -> None:
    async for event in stream:
        seen.append(event)  # noqa: PERF401 what came before an error counts too
