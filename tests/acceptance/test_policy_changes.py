"""A rule of one tenant is edited while people ask: it holds within seconds, and no call fails."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from forebay.client import AsyncAnswerStream, AsyncClient, PermissionDenied
from forebay.errors.v1 import ErrorReason
from forebay.policy.v1 import Visibility
from forebay.query.v1 import AnswerEvent, SubmitQueryRequest
from forebay_benchmarks.model_server.process import ModelServer

from .conftest import Connect
from .policy_edits import HOLDS_SECONDS, PolicyEdits, until_caller

QUESTION = "What is the secret word of the gate?"
OPEN, SECRET = "canary-open", "canary-secret"
ASKERS = 3  # of each tenant, at each edge
SLOW = {"kinds": ("chat",), "tokens_per_second": 5.0, "answer_tokens": 100}


@dataclass
class Asked:
    """One question of the load: when it began, and what came of it."""

    began: float
    passages: str = ""
    refused: ErrorReason.ValueType | None = None


@dataclass
class Askers:
    """People of one tenant who ask without a pause, each question as soon as the last one ended."""

    clients: list[AsyncClient]
    asked: list[Asked] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as asking:
            for client in self.clients:
                asking.create_task(self._ask_on(client))

    async def ask_more(self, count: int) -> None:
        """Return once so many more questions have begun."""
        enough = len(self.asked) + count
        async with self.more:
            await self.more.wait_for(lambda: len(self.asked) >= enough)

    async def _ask_on(self, client: AsyncClient) -> None:
        while not self.over.is_set():
            asked = Asked(time.monotonic())
            async with self.more:
                self.asked.append(asked)
                self.more.notify_all()
            stream = client.ask(QUESTION, mode=SubmitQueryRequest.MODE_RETRIEVE_ONLY)
            try:
                asked.passages = " ".join(p.text for p in (await stream.answer()).passages)
            except PermissionDenied as refusal:
                asked.refused = refusal.reason


async def planted(author: AsyncClient) -> None:
    """A public and a confidential word, and an internal document of no importance."""
    receipts = [
        await author.ingest("plant", "open", text=f"The word is {OPEN}.", visibility="public"),
        await author.ingest("plant", "secret", text=f"The secret word of the gate is {SECRET}."),
    ]
    await asyncio.gather(*(author.wait_indexed(each.name, each.etag) for each in receipts))


@asynccontextmanager
async def crowds(
    connect: Connect, edges: tuple[str, ...], tenants: tuple[str, ...]
) -> AsyncIterator[list[Askers]]:
    """People of each tenant at each edge; a call of theirs that fails ends the block."""
    await asyncio.gather(*(planted(connect(tenant=tenant)) for tenant in tenants))
    crowds = [
        Askers([connect(tenant=tenant, at=edge) for edge in edges for _ in range(ASKERS)])
        for tenant in tenants
    ]
    async with asyncio.TaskGroup() as load:
        for askers in crowds:
            load.create_task(askers.run())
        yield crowds
        for askers in crowds:
            askers.over.set()


@pytest.mark.over_grpc_alone("takes seconds; both transports are judged by the one chain")
async def test_a_lowered_tier_holds_within_seconds_under_load_also_for_what_was_asked_before(
    connect: Connect,
    other_edge: str,
    tenant: str,
    policy_edits: PolicyEdits,
    models: ModelServer,
) -> None:
    client, elsewhere = connect(), connect(at=other_edge)
    async with crowds(connect, ("", other_edge), (tenant, f"t-{uuid4().hex[:12]}")) as both:
        models.behave(**SLOW)
        followed = client.ask(QUESTION)
        await read_up_to(followed, "delta")
        unread = await client.submit(QUESTION)
        edited = policy_edits.write(
            tenants={tenant: {"tiers": {"enterprise": {"clearance": "PUBLIC"}}}}
        )
        for edge in (client, elsewhere):
            await until_caller(edge, lambda me: me.clearance == Visibility.VISIBILITY_PUBLIC)
        held = time.monotonic()
        assert not any(SECRET.encode() in e.SerializeToString() for e in await rest_of(followed))
        assert time.monotonic() - edited < HOLDS_SECONDS
        for name in (unread.name, followed.query):
            seen = await rest_of(elsewhere.follow(name))
            assert {event.WhichOneof("event") for event in seen} <= {"accepted"}
        await both[0].ask_more(4 * ASKERS)
    judge(*both, held)


def judge(lowered: Askers, untouched: Askers, held: float) -> None:
    """Who is not meant notices nothing; what was asked since the rule held is under it."""
    assert all(OPEN in each.passages and SECRET in each.passages for each in untouched.asked)
    for each in lowered.asked:
        if each.began > held:
            assert OPEN in each.passages
            assert SECRET not in each.passages
        elif each.refused is not None:
            assert each.refused == ErrorReason.ERROR_REASON_CLEARANCE_TOO_LOW
    assert any(SECRET in each.passages for each in lowered.asked)


async def read_up_to(stream: AsyncAnswerStream, kind: str) -> None:
    async for event in stream:
        if event.HasField(kind):  # type: ignore[arg-type]
            return


async def rest_of(stream: AsyncAnswerStream) -> list[AnswerEvent]:
    """What comes of an answer before it ends because its reader may not see all of it."""
    seen: list[AnswerEvent] = []
    with pytest.raises(PermissionDenied) as refused:
        await collect(stream, seen)
    assert refused.value.reason == ErrorReason.ERROR_REASON_CLEARANCE_TOO_LOW
    return seen


async def collect(stream: AsyncAnswerStream, seen: list[AnswerEvent]) -> None:
    async for event in stream:
        seen.append(event)  # noqa: PERF401 what came before an error counts too
