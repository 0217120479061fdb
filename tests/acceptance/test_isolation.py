"""No byte of one tenant reaches another, and none above a caller's clearance."""

import asyncio
from dataclasses import dataclass
from itertools import product
from uuid import uuid4

import pytest

from forebay.client import AsyncClient, NotFound, PermissionDenied
from forebay.errors.v1 import ErrorReason
from forebay.query.v1 import AnswerEvent, SubmitQueryRequest
from forebay_benchmarks.model_server.process import ModelServer
from forebay_standalone.system import System

from .conftest import Connect

VISIBILITIES = ("public", "internal", "confidential")
TIERS = ("free", "standard", "enterprise")  # each is cleared for one visibility more
MODES = (SubmitQueryRequest.MODE_ANSWER, SubmitQueryRequest.MODE_RETRIEVE_ONLY)


@dataclass(frozen=True)
class Planted:
    """A document's tenant and visibility, and the word that stands in it alone."""

    tenant: str
    visibility: str
    canary: str


@dataclass(frozen=True)
class Heard:
    """All events of one caller's answer."""

    tenant: str
    tier: str
    mode: SubmitQueryRequest.Mode.ValueType
    events: tuple[AnswerEvent, ...]

    def holds(self, planted: Planted) -> bool:
        return any(planted.canary.encode() in e.SerializeToString() for e in self.events)

    def may_hear(self, planted: Planted) -> bool:
        cleared = VISIBILITIES[: TIERS.index(self.tier) + 1]
        return planted.tenant == self.tenant and planted.visibility in cleared

    @property
    def passages(self) -> str:
        return " ".join(p.text for e in self.events for p in e.retrieved.passages)


async def test_every_caller_hears_its_own_canaries_and_no_other(
    connect: Connect, models: ModelServer
) -> None:
    tenants = [f"t-{uuid4().hex[:12]}" for _ in range(3)]
    planted = [
        Planted(tenant, visibility, f"canary-{uuid4().hex}")
        for tenant, visibility in product(tenants, VISIBILITIES)
    ]
    await asyncio.gather(*(plant(connect(tenant=each.tenant), each) for each in planted))
    heard = await asyncio.gather(
        *(
            listen(connect(tier, tenant=tenant), tenant, tier, question, mode)
            for tenant, tier, mode in product(tenants, TIERS, MODES)
            for question in questions(tenants)
        )
    )
    for each, of in product(heard, planted):
        if each.may_hear(of):
            assert of.canary in each.passages
        else:
            assert not each.holds(of), f"{each.tier} of {each.tenant} hears {of}"
    answered = [each for each in heard if each.mode == SubmitQueryRequest.MODE_ANSWER]
    assert all("canary-" in each.events[-1].completed.answer for each in answered)


async def test_a_document_for_a_group_is_found_by_its_members_alone(
    connect: Connect, models: ModelServer, system: System, tenant: str, edge_address: str
) -> None:
    author = connect()
    receipt = await author.ingest(
        "plant", "rota", text="The rota of the divers.", visibility="public", readers=["divers"]
    )
    member = system.issuer.mint(tenant, "a-diver", "free", groups=["divers", "cooks"])
    other = system.issuer.mint(tenant, "a-cook", "enterprise", groups=["cooks"])
    async with AsyncClient(edge_address, member) as client:
        await client.wait_indexed(receipt.name, receipt.etag)
        answer = await client.ask("Who is on the rota?").answer()
        assert [passage.document for passage in answer.passages] == [receipt.name]
        assert [*answer.passages[0].groups] == ["divers"]
    await require_withheld(
        edge_address, system.issuer.mint(tenant, "a-diver", "free", groups=["cooks"]), answer.query
    )
    async with AsyncClient(edge_address, other) as client:
        assert (await client.ask("Who is on the rota?").answer()).passages == ()
        with pytest.raises(NotFound):
            await client.get_document(receipt.name)


async def require_withheld(edge_address: str, token: str, query: str) -> None:
    """Its asker has left the group for which it was found."""
    async with AsyncClient(edge_address, token) as client:
        for reading in (client.get_query(query), client.follow(query).answer()):
            with pytest.raises(PermissionDenied) as refused:
                await reading
            assert refused.value.reason == ErrorReason.ERROR_REASON_GROUP_MISSING


def questions(tenants: list[str]) -> list[str]:
    return [
        "What is the secret word of the gate?",
        *(f"What is the secret word of the gate of {tenant}?" for tenant in tenants),
        *(f"What is the {visibility} secret word?" for visibility in VISIBILITIES),
    ]


async def plant(author: AsyncClient, planted: Planted) -> None:
    """All tenants use the same names: only the tenant tells their documents apart."""
    word = f"The {planted.visibility} secret word of the gate of {planted.tenant}"
    receipt = await author.ingest(
        "plant",
        planted.visibility,
        text=f"{word} is {planted.canary}.",
        title=f"Gate, {planted.visibility}",
        visibility=planted.visibility,  # type: ignore[arg-type]
    )
    await author.wait_indexed(receipt.name, receipt.etag)


async def listen(
    client: AsyncClient,
    tenant: str,
    tier: str,
    question: str,
    mode: SubmitQueryRequest.Mode.ValueType,
) -> Heard:
    events = [event async for event in client.ask(question, mode=mode)]
    assert events[-1].WhichOneof("event") == "completed"
    return Heard(tenant, tier, mode, tuple(events))
