"""Many tenants that bring documents in and ask, each expecting what only its own documents say."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Self

from forebay.client import Answer, AsyncClient, NewDocument, QueryFailed, RetryPolicy
from forebay.ingest.v1 import Document
from forebay.query.v1 import AnswerEvent
from forebay_benchmarks.flood import Flood
from forebay_standalone.issuer import every_scope
from forebay_standalone.system import System

from .canaries import COLLECTION, Canary
from .watching import Watcher

PATIENT = RetryPolicy(patience=240.0)  # longer than any fault here lasts
CALL_SECONDS = 240.0
TOKEN_LIFE = timedelta(hours=2)
TOLD_AFTER = 1_000  # documents of a flood
WATCHED = 4  # every fourth question has a second reader that believes everything


@dataclass
class Asked:
    """One question and everything that its asker saw."""

    canary: Canary
    began: float
    events: list[AnswerEvent] = field(default_factory=list)
    answer: Answer | None = None
    failure: QueryFailed | None = None
    watcher: Watcher | None = None
    seconds: float = 0.0

    @property
    def ended(self) -> bool:
        return self.answer is not None or self.failure is not None

    @property
    def query(self) -> str:
        return self.events[0].query if self.events else ""


class Load:
    """Accepted documents with their etags, and questions with what came of them."""

    def __init__(self, system: System, *, question_seconds: float = 240.0) -> None:
        self.accepted: dict[Canary, str] = {}
        self.asked: list[Asked] = []
        self._system = system
        self._question_seconds = question_seconds
        self._clients: dict[str, AsyncClient] = {}
        self._stack = AsyncExitStack()
        self._moved = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def token(self, tenant: str) -> str:
        mint = self._system.issuer.mint
        return mint(tenant, "somebody", "enterprise", every_scope(), (), TOKEN_LIFE)

    def client(self, tenant: str) -> AsyncClient:
        """The tenant's client, which outlasts every outage here."""
        if tenant not in self._clients:
            client = AsyncClient(
                self._system.addresses.grpc,
                self.token(tenant),
                timeout=CALL_SECONDS,
                retry=PATIENT,
            )
            self._stack.push_async_callback(client.close)
            self._clients[tenant] = client
        return self._clients[tenant]

    @property
    def tenants(self) -> list[str]:
        """Who brought documents in."""
        return list(dict.fromkeys(canary.tenant for canary in self.accepted))

    async def ingest(self, canaries: Iterable[Canary]) -> None:
        """Bring documents in, one stream for each tenant; return once all are accepted."""
        per_tenant: dict[str, list[Canary]] = defaultdict(list)
        for canary in canaries:
            per_tenant[canary.tenant].append(canary)
        async with asyncio.TaskGroup() as streams:
            for tenant, own in per_tenant.items():
                streams.create_task(self._stream(tenant, own))

    async def flood(self, canaries: Sequence[Canary]) -> None:
        """As `ingest`, but from a process of its own, which tells now and then how far it is."""
        with Flood(self._system.addresses.grpc) as flood:
            for begin in range(0, len(canaries), TOLD_AFTER):
                own = {each.lock: each for each in canaries[begin : begin + TOLD_AFTER]}
                etags = await flood.bring(self._by_token(own.values()))
                self.accepted.update({own[lock]: etag for lock, etag in etags.items()})
                self._moved.set()

    async def seed(self, canaries: Sequence[Canary], seconds: float = 60.0) -> None:
        """Bring documents in and wait until questions find them."""
        await self.ingest(canaries)
        for canary in canaries:
            client = self.client(canary.tenant)
            await client.wait_indexed(canary.name, self.accepted[canary], seconds)

    async def ask(
        self, canaries: Iterable[Canary], at_once: int = 50, *, watched: bool = True
    ) -> None:
        """Ask for facts, `at_once` at a time; return once every question has ended."""
        turns = asyncio.Semaphore(at_once)
        async with asyncio.TaskGroup() as questions:
            for number, canary in enumerate(canaries):
                second = watched and number % WATCHED == 0
                questions.create_task(self._ask(canary, turns, watched=second))

    async def until(self, reached: Callable[[], bool], seconds: float = 60.0) -> None:
        """Return once something is true of what was accepted or seen."""
        async with asyncio.timeout(seconds):
            while not reached():
                self._moved.clear()
                await self._moved.wait()

    async def until_ended(self, count: int, seconds: float = 60.0) -> None:
        """Return once so many questions are answered or failed."""
        await self.until(lambda: sum(each.ended for each in self.asked) >= count, seconds)

    async def indexed(self) -> set[tuple[str, str, str]]:
        """Tenant, name and etag of every document that the catalogue calls INDEXED."""
        lists = await asyncio.gather(*(self._indexed(tenant) for tenant in self.tenants))
        return set().union(*lists)

    def _by_token(self, canaries: Iterable[Canary]) -> dict[str, list[NewDocument]]:
        per_tenant: dict[str, list[NewDocument]] = defaultdict(list)
        for canary in canaries:
            per_tenant[canary.tenant].append(document(canary))
        return {self.token(tenant): own for tenant, own in per_tenant.items()}

    async def _stream(self, tenant: str, canaries: list[Canary]) -> None:
        by_lock = {canary.lock: canary for canary in canaries}
        async for outcome in self.client(tenant).ingest_many(map(document, canaries)):
            if outcome.error is not None:
                raise outcome.error
            if outcome.document is not None:
                self.accepted[by_lock[outcome.source.document_id]] = outcome.document.etag
                self._moved.set()

    async def _ask(self, canary: Canary, turns: asyncio.Semaphore, *, watched: bool) -> None:
        async with turns, asyncio.TaskGroup() as readers:
            asked = Asked(canary, monotonic())
            self.asked.append(asked)
            stream = self.client(canary.tenant).ask(canary.question, timeout=self._question_seconds)
            async for event in stream:
                asked.events.append(event)
                self._moved.set()
                if watched and asked.watcher is None:
                    asked.watcher = self._watcher(canary.tenant, event.query)
                    readers.create_task(asked.watcher.follow())
            asked.seconds = monotonic() - asked.began
            try:
                asked.answer = await stream.answer()
            except QueryFailed as failed:
                asked.failure = failed
            self._moved.set()

    def _watcher(self, tenant: str, query: str) -> Watcher:
        return Watcher(self._system.addresses.grpc, self.token(tenant), query)

    async def _indexed(self, tenant: str) -> set[tuple[str, str, str]]:
        found = self.client(tenant).list_documents(COLLECTION, page_size=1_000)
        indexed = Document.STATE_INDEXED
        return {(tenant, each.name, each.etag) async for each in found if each.state == indexed}


def document(canary: Canary) -> NewDocument:
    """The document that says a fact."""
    return NewDocument(COLLECTION, canary.lock, text=canary.text)
