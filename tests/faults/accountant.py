"""Proves after a fault that everything accepted came to its one end, and was paid for once."""

import asyncio
import math
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from forebay_benchmarks.model_server.process import ModelServer

from .canaries import digest
from .load import Asked, Load
from .log_books import LogBooks, Told
from .watching import require_whole

MAX_ATTEMPTS = 3
SECRET = re.compile(r"secret[0-9a-f]{12}")
REFUSED = frozenset({"refused"})
# What a model server does to its callers when it is the one at fault.
BROKEN_OFF = frozenset({"refused", "cut", "disconnected"})
IN_SOCKETS_SECONDS = 1.0  # until the model server has read what a dead worker had sent
MOST_TRIES = 10  # of a call in an outage of seconds, at waits that grow to 5 s
Indexed = tuple[str, str, str]  # tenant, document and etag
Paid = tuple[str, str]  # the kind of a call, and the digest of a text in it


LOOKS, LOOK_SECONDS = 5, 0.2  # a server that shares two cores counts a call late


@dataclass(frozen=True)
class Before:
    """What was indexed when an outage began, and when that was, in seconds since 1970."""

    indexed: frozenset[Indexed]
    time: float


@dataclass(frozen=True)
class Moment:
    """What had been paid for when a fault struck, and what of it was finished in the log.

    In an outage, which lasts, a call that cannot be finished may be made `again` several times.
    """

    calls: Counter[Paid]
    finished: frozenset[Paid]
    again: int = 1

    def cut_off(self, paid: Paid) -> int:
        """How often a call may be made again because of the fault."""
        return self.again if self.calls[paid] > 0 and paid not in self.finished else 0


class Accountant:
    """Compares what a load was promised with log, catalogue and the model server's record."""

    def __init__(self, load: Load, books: LogBooks, models: ModelServer) -> None:
        self._load = load
        self._books = books
        self._models = models

    async def before(self) -> Before:
        """To be asked when an outage begins."""
        return Before(frozenset(await self._load.indexed()), time.time())

    async def moment(self, before: Before | None = None, *, again: int = MOST_TRIES) -> Moment:
        """What the books say now: to be asked while nobody works at what a fault cut off.

        With `before` that may be later: what was finished then counts, and what had been asked of
        the model server by now; each of it may be asked for `again` so often.
        """
        now = time.time()
        indexed = before.indexed if before else await self._load.indexed()
        latest = before.time if before else math.inf
        told, contexts = await asyncio.gather(
            asyncio.to_thread(self._books.answers), asyncio.to_thread(self._books.contexts)
        )
        finished = set()
        for name, each in told.items():
            closed = each.closed_at <= latest and each.fold.closed
            if closed:
                finished.add(("chat", digest(each.text)))
            if closed or (name in contexts and contexts[name] <= latest):
                finished.add(("embeddings", digest(each.text)))
        for canary, etag in self._load.accepted.items():
            if (canary.tenant, canary.name, etag) in indexed:
                finished.add(("embeddings", digest(canary.text)))
        # Last: a call may still lie in the model server's socket when its caller is dead.
        struck_once = before is None or again == 1
        calls = await self._calls_at_rest(
            until=now + IN_SOCKETS_SECONDS if struck_once else math.inf
        )
        return Moment(calls, frozenset(finished), again=again if before else 1)

    async def close(
        self,
        moments: Sequence[Moment],
        *,
        seconds: float = 60.0,
        may_fail: bool = False,
        unpaid: frozenset[str] = REFUSED,
    ) -> list[str]:
        """Check everything; what was seen, as facts for the table.

        `moments` are those of the faults. Questions may end as failed where `may_fail`; calls that
        came to one of the ends `unpaid` cost nothing.
        """
        waited = await asyncio.to_thread(self._books.wait_no_lag, seconds)
        return [
            await self._documents(seconds),
            await self._questions(may_fail=may_fail),
            self._readers(),
            await self._payments(moments, unpaid),
            f"lag 0 after {waited:.1f} s",
        ]

    async def _documents(self, seconds: float) -> str:
        accepted = {
            (canary.tenant, canary.name, etag) for canary, etag in self._load.accepted.items()
        }
        indexed = await self._load.indexed()
        missing, strange = accepted - indexed, indexed - accepted
        assert not missing, f"{len(missing)} accepted documents are not indexed: {min(missing)}"
        assert not strange, f"{len(strange)} documents are indexed that nobody brought"
        return f"documents {len(accepted)} accepted = {len(indexed)} indexed"

    async def _questions(self, *, may_fail: bool) -> str:
        asked = self._load.asked
        told = await asyncio.to_thread(self._books.answers)
        names = {each.query for each in asked}
        assert len(names) == len(asked), "two questions became one query"
        for each in asked:
            _require_answer(each, may_fail=may_fail)
            _require_one_end(each.query, told.get(each.query, Told()))
        failed = sum(each.failure is not None for each in asked)
        answered = len(asked) - failed
        return (
            f"questions {len(asked)} accepted = {answered} answered + {failed} failed, one end each"
        )

    def _readers(self) -> str:
        watchers = [each.watcher for each in self._load.asked if each.watcher is not None]
        for each in self._load.asked:
            require_whole(each.events)
        for watcher in watchers:
            require_whole(watcher.events)
        streams = sum(watcher.streams for watcher in watchers)
        readers = len(self._load.asked) + len(watchers)
        return f"{readers} readers whole ({len(watchers)} on the wire over {streams} streams)"

    async def _payments(self, moments: Sequence[Moment], unpaid: frozenset[str]) -> str:
        calls = await self._calls(unpaid)
        questions = {digest(each.canary.question) for each in self._load.asked}
        again = 0
        for paid, count in calls.items():
            due = 1 + sum(moment.cut_off(paid) for moment in moments)
            what = "question" if paid[1] in questions else "document"
            assert count <= due, f"{count} {paid[0]} calls for one {what} where {due} were due"
            assert count <= MAX_ATTEMPTS or paid[0] != "chat", f"{count} attempts at an answer"
            again += count - 1
        cut_off = {paid for paid in calls if any(moment.cut_off(paid) for moment in moments)}
        return f"{len(calls)} texts paid for once, {again} again of {len(cut_off)} cut off"

    async def _calls_at_rest(self, until: float) -> Counter[Paid]:
        """The calls once the server has counted all that had reached it, others' going on."""
        calls = await self._calls(until=until)
        for _ in range(LOOKS):
            await asyncio.sleep(LOOK_SECONDS)
            before, calls = calls, await self._calls(until=until)
            if calls == before:
                break
        return calls

    async def _calls(
        self, unpaid: frozenset[str] = REFUSED, until: float = math.inf
    ) -> Counter[Paid]:
        record = await asyncio.to_thread(self._models.calls)
        return Counter(
            (call["kind"], text)
            for call in record["calls"]
            if call["outcome"] not in unpaid and call["started"] <= until
            for text in call["sha256"]
        )


def _require_answer(asked: Asked, *, may_fail: bool) -> None:
    if asked.answer is None:
        assert may_fail, f"a question failed: {asked.failure}"
        return
    found = set(SECRET.findall(asked.answer.text))
    assert asked.canary.secret in found, f"an answer lacks its fact: {asked.answer.text[:80]}"


def _require_one_end(name: str, told: Told) -> None:
    assert len(told.ends) == 1, f"{name} has the ends {told.ends}"
