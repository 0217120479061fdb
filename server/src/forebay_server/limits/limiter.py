"""Lets calls through as long as their tier and tenant allow more."""

from __future__ import annotations

import asyncio

from forebay_server.clock import Clock, system_clock
from forebay_server.governance.caller import Caller
from forebay_server.limits.allowances import Limit
from forebay_server.limits.answer_lease import LEASE_SECONDS, AnswerLease
from forebay_server.limits.backlog import Backlog
from forebay_server.limits.errors import LimitReached, LimitsUnavailable
from forebay_server.limits.holder import holder_of
from forebay_server.limits.remaining import Left, Remaining
from forebay_server.limits.store import CallsLeft, LimitStore, StoreDown
from forebay_server.limits.usage_ledger import UsageLedger, next_midnight
from forebay_server.limits.writes import WRITES

# Nobody knows when an answer ends or a document is indexed: so often it is worth asking.
ANSWER_RETRY_SECONDS, BACKLOG_RETRY_SECONDS = 1.0, 5.0


class Limiter:
    """Counts what callers do; each method is one step of a call's way in.

    Refusals are LimitReached. While the store is down, calls that write are refused with
    LimitsUnavailable and all others go through uncounted.
    """

    def __init__(
        self, store: LimitStore, usage: UsageLedger, backlog: Backlog, clock: Clock = system_clock
    ) -> None:
        self._store = store
        self._usage = usage
        self._backlog = backlog
        self._clock = clock

    async def admit(self, caller: Caller, path: str) -> CallsLeft | None:
        """Count a call of the method at `/package.Service/Method`; what it leaves, if counted."""
        limit = caller.allowances.requests_per_minute
        if limit is None:
            return None
        of_tenant = caller.allowances.requests_of_tenant
        try:
            counted = await self._store.count_call(holder_of(caller, of_tenant=of_tenant), limit)
        except StoreDown as error:
            if path in WRITES:
                raise LimitsUnavailable from error
            return None
        if not counted.admitted:
            raise LimitReached(
                Limit.REQUESTS_PER_MINUTE, limit, counted.free_in, of_tenant=of_tenant
            )
        return CallsLeft(limit, max(0, limit - counted.used), counted.reset_in)

    async def admit_document(self, caller: Caller) -> None:
        """Let one document version in, be it a call's or a stream's.

        Changes of access and deletions are no documents: withdrawal waits for nothing.
        """
        limit = caller.allowances.backlog
        if limit is None:
            return
        waiting = await self._backlog.waiting(caller.tenant, limit)
        if waiting is not None and waiting >= limit:
            raise LimitReached(Limit.BACKLOG, limit, BACKLOG_RETRY_SECONDS, of_tenant=True)
        self._backlog.accepted(caller.tenant)

    async def admit_answer(
        self,
        caller: Caller,
        name: str,
        expire_time: float,
        *,
        followed: bool,
        generated: bool = True,
    ) -> AnswerLease:
        """Let a question in and take its lease; its retry has one, and is let in as it was.

        `expire_time` is the query's, in seconds since 1970. `followed` says that this call follows
        the answer too, and renews the lease. An answer that is not `generated` costs no tokens.
        """
        lease = await self._take_lease(caller, name, expire_time, followed=followed)
        if generated and lease.new:
            try:
                await self._require_tokens(caller.tenant, caller.allowances.tokens_per_day)
            except (LimitReached, LimitsUnavailable):
                await lease.undo()
                raise
        return lease

    def lease_of(self, caller: Caller, name: str) -> AnswerLease:
        """The lease of an answer that was let in before, for whoever follows or ends it."""
        if caller.allowances.concurrent_answers is None:
            return AnswerLease(self._store, None, name)
        holder = holder_of(caller, of_tenant=caller.allowances.answers_of_tenant)
        return AnswerLease(self._store, holder, name)

    async def remaining(self, caller: Caller) -> Remaining:
        """What is left of every limit that there is; 0 of what nobody can count just now."""
        found = await asyncio.gather(
            self._requests_left(caller),
            self._answers_left(caller),
            self._tokens_left(caller, caller.allowances.tokens_per_day),
            self._backlog_left(caller, caller.allowances.backlog),
        )
        return {limit: left for limit, left in zip(Limit, found, strict=True) if left is not None}

    async def _take_lease(
        self,
        caller: Caller,
        name: str,
        expire_time: float,
        *,
        followed: bool,
    ) -> AnswerLease:
        limit = caller.allowances.concurrent_answers
        if limit is None:
            return AnswerLease(self._store, None, name, new=True)
        of_tenant = caller.allowances.answers_of_tenant
        holder = holder_of(caller, of_tenant=of_tenant)
        seconds = LEASE_SECONDS if followed else expire_time - self._clock()
        try:
            held = await self._store.hold(holder, name, limit, max(seconds, 0.0))
        except StoreDown as error:
            raise LimitsUnavailable from error
        if not held.granted:
            retry = min(held.free_in, ANSWER_RETRY_SECONDS)
            raise LimitReached(Limit.CONCURRENT_ANSWERS, limit, retry, of_tenant=of_tenant)
        return AnswerLease(
            self._store, holder, name, expire_time=expire_time, new=held.new, clock=self._clock
        )

    async def _require_tokens(self, tenant: str, limit: int | None) -> None:
        if limit is not None and await self._usage.used(tenant) >= limit:
            now = self._clock()
            retry = next_midnight(now) - now
            raise LimitReached(Limit.TOKENS_PER_DAY, limit, retry, of_tenant=True)

    async def _requests_left(self, caller: Caller) -> Left | None:
        limit = caller.allowances.requests_per_minute
        if limit is None:
            return None
        holder = holder_of(caller, of_tenant=caller.allowances.requests_of_tenant)
        try:
            counted = await self._store.count_call(holder, 0)
        except StoreDown:
            return Left(limit, 0)
        return Left(limit, max(0, limit - counted.used), self._clock() + counted.reset_in)

    async def _answers_left(self, caller: Caller) -> Left | None:
        limit = caller.allowances.concurrent_answers
        if limit is None:
            return None
        holder = holder_of(caller, of_tenant=caller.allowances.answers_of_tenant)
        try:
            held = await self._store.hold(holder, "", 0, 0)
        except StoreDown:
            return Left(limit, 0)
        return Left(limit, max(0, limit - held.under_way))

    async def _tokens_left(self, caller: Caller, limit: int | None) -> Left | None:
        if limit is None:
            return None
        used = self._usage.used_so_far(caller.tenant)
        left = 0 if used is None else max(0, limit - used)
        return Left(limit, left, next_midnight(self._clock()))

    async def _backlog_left(self, caller: Caller, limit: int | None) -> Left | None:
        if limit is None:
            return None
        waiting = await self._backlog.waiting(caller.tenant, limit)
        return Left(limit, limit if waiting is None else max(0, limit - waiting))
