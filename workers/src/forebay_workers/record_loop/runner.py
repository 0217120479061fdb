"""What happens to one record: attempts, and where they fail, its owner and a dead letter."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any

from google.protobuf.message import Message

from forebay_kafka.records import Received, Verified
from forebay_workers.record_loop.clock import Clock
from forebay_workers.record_loop.counters import Counts
from forebay_workers.record_loop.dead_letters import DeadLetters
from forebay_workers.record_loop.errors import DeadlinePassed, facts_of
from forebay_workers.record_loop.flow import Flow
from forebay_workers.record_loop.partition import HeldPartition
from forebay_workers.record_loop.retry import Backoff, retry_of
from forebay_workers.record_loop.settings import RetryPolicy
from forebay_workers.record_loop.stage import EndsKeys, Retry, Stage, Work

log = logging.getLogger(__name__)


class Leaving(Exception):
    """The record's partition leaves, and the record does not run just now."""


@dataclass(eq=False)
class Run:
    """A record on its way through the loop.

    `record` is None where the record is poison, and `error` says why it never reaches `process`,
    or where it is a tombstone: `ended` is its key then.
    """

    held: HeldPartition
    source: Received
    record: Verified[Message] | None = None
    error: Exception | None = None
    ended: str | None = None
    deadline: float | None = None
    attempt: int = 0
    task: asyncio.Task[None] | None = None
    resting: bool = False

    def leave(self) -> None:
        """End it if it only waits; a running attempt goes on."""
        if self.resting and self.task is not None:
            self.task.cancel()

    async def rest(self, clock: Clock, seconds: float) -> None:
        """Wait between two attempts; Leaving when there is to be no other."""
        if self.held.leaving:
            raise Leaving
        self.resting = True
        try:
            await clock.sleep(seconds)
        finally:
            self.resting = False


class RecordRunner:
    """Brings records to an end: processed, expired, or given up with a dead letter."""

    def __init__(
        self,
        stage: Stage[Any],
        letters: DeadLetters,
        flow: Flow,
        policy: RetryPolicy,
        clock: Clock,
    ) -> None:
        self.counts = Counts()
        self._stage = stage
        self._letters = letters
        self._flow = flow
        self._policy = policy
        self._backoff = Backoff(policy)
        self._clock = clock

    async def run(self, run: Run) -> None:
        """Return once the record's offset counts as done; raises Leaving."""
        error = run.error or await self._attempts(run)
        if error is None:
            self.counts.processed += 1
        else:
            await self._give_up(run, error)

    async def _attempts(self, run: Run) -> Exception | None:
        began = self._clock.now()
        for run.attempt in count(1):
            error = await self._attempt(run)
            if error is None or isinstance(error, DeadlinePassed):
                return error
            now = self._clock.now()
            delay = self._backoff.next_delay(error, attempt=run.attempt, elapsed=now - began)
            if delay is None or (run.deadline is not None and now + delay >= run.deadline):
                return error
            self.counts.retried += 1
            await run.rest(self._clock, delay)
        raise AssertionError  # count() has no end

    async def _attempt(self, run: Run) -> Exception | None:
        left = None if run.deadline is None else run.deadline - self._clock.now()
        if left is not None and left <= 0:
            return DeadlinePassed()
        try:
            async with asyncio.timeout(left) as limit:
                await self._do(run)
        except Exception as error:  # noqa: BLE001 every error decides on a retry
            return DeadlinePassed() if limit.expired() else error
        return None

    async def _do(self, run: Run) -> None:
        if run.ended is not None and isinstance(self._stage, EndsKeys):
            await self._stage.end(run.ended)
        else:
            await self._stage.process(self._work(run))

    def _work(self, run: Run) -> Work[Message]:
        if run.record is None:
            raise AssertionError
        return Work.of(run.record, attempt=run.attempt, deadline=run.deadline)

    async def _give_up(self, run: Run, error: Exception) -> None:
        expired = isinstance(error, DeadlinePassed)
        log.warning("gave up a record", extra=self._facts(run, error))
        if run.record is not None:
            work = self._work(run)
            await self._insist(run, lambda: self._stage.give_up(work, error), self._is_defect)
        if expired:  # nobody waits for it any more: its owner knows, and it is no dead letter
            self.counts.expired += 1
            return
        attempts = run.attempt
        await self._insist(
            run, lambda: self._letters.write(run.source, error, attempts=attempts), _never
        )
        self.counts.dead_lettered += 1

    async def _insist(
        self,
        run: Run,
        write: Callable[[], Awaitable[None]],
        enough: Callable[[Exception, int], bool],
    ) -> None:
        """Try until it succeeds; the stage halts meanwhile, for what it would give up next."""
        with ExitStack() as halted:
            for attempt in count(1):
                try:
                    await write()
                except Exception as error:  # noqa: BLE001 nothing may get lost here
                    log.error(  # noqa: TRY400 a traceback could show content
                        "cannot give up a record", extra=self._facts(run, error)
                    )
                    if enough(error, attempt):
                        return
                    if attempt == 1:
                        halted.enter_context(self._flow.halt())
                    await run.rest(self._clock, self._backoff.delay(error, attempt=attempt))
                else:
                    return

    def _is_defect(self, error: Exception, attempt: int) -> bool:
        lasting = retry_of(error) in (None, Retry.NEVER)
        return lasting and attempt >= self._policy.unknown_attempts

    def _facts(self, run: Run, error: Exception) -> dict[str, object]:
        """Everything about a failure but content."""
        return {
            "group": self._letters.group,
            "topic": run.source.topic,
            "partition": run.source.partition,
            "offset": run.source.offset,
            "attempts": run.attempt,
            **facts_of(error),
        }


def _never(_error: Exception, _attempt: int) -> bool:
    return False
