"""What happens to one record: attempts, and where they fail, a later round or its end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from itertools import count
from typing import Any

from google.protobuf.message import Message

from forebay_kafka.errors import RecordTooLarge
from forebay_workers.record_loop.breaker import Breaker
from forebay_workers.record_loop.clock import Clock
from forebay_workers.record_loop.counters import Counts
from forebay_workers.record_loop.dead_letters import DeadLetters
from forebay_workers.record_loop.errors import CallTimedOut, DeadlinePassed, facts_of
from forebay_workers.record_loop.flow import Flow
from forebay_workers.record_loop.retry import Backoff, retry_of
from forebay_workers.record_loop.retry_topic import RetryTopic
from forebay_workers.record_loop.run import PutBack, Run
from forebay_workers.record_loop.settings import LoopSettings
from forebay_workers.record_loop.sleep_guard import SleepGuard
from forebay_workers.record_loop.stage import EndsKeys, Retry, Stage, Work
from forebay_workers.record_loop.throttle import Throttle

log = logging.getLogger(__name__)


class RecordRunner:
    """Brings records to an end: processed, expired, put off, or given up with a dead letter."""

    def __init__(
        self,
        stage: Stage[Any],
        letters: DeadLetters,
        retries: RetryTopic | None,
        flow: Flow,
        settings: LoopSettings,
        clock: Clock,
        counts: Counts,
    ) -> None:
        self.backoff = Backoff(settings.retry)
        self.throttle = Throttle(settings.max_in_flight, self.backoff, clock)
        self.breaker = Breaker(settings.breaker, self.backoff, clock)
        self.sleep = SleepGuard()
        self._stage = stage
        self._letters = letters
        self._retries = retries
        self._flow = flow
        self._settings = settings
        self._clock = clock
        self._counts = counts

    async def run(self, run: Run) -> None:
        """Return once the record's offset counts as done; raises Leaving and PutBack."""
        error = run.error or await self._attempts(run)
        if error is None:
            self._counts.processed += 1
            return
        if self.breaker.holds(run, error):
            raise PutBack
        if not await self._put_off(run, error):
            await self._give_up(run, error)

    async def _attempts(self, run: Run) -> Exception | None:
        first = self._clock.now()
        for run.tries in count(1):
            began = self._clock.now()
            error = await self._attempt(run)
            if error is None:
                self.throttle.succeeded(began=began)
                self.breaker.succeeded(began=began)
                return None
            delay = self._delay(run, error, began=began, first=first)
            if delay is None:
                return error
            self._counts.retried += 1
            await run.rest(self._clock, delay)
            if self.breaker.halted or self.throttle.wait() > 0 or self.sleep.wait() > 0:
                raise PutBack
        raise AssertionError  # count() has no end

    def _delay(self, run: Run, error: Exception, *, began: float, first: float) -> float | None:
        """Seconds until the next attempt; None when there is to be none just now.

        Raises PutBack where the whole stage waits.
        """
        now, throttled = self._clock.now(), retry_of(error) is Retry.THROTTLED
        if throttled:
            self.throttle.slow_down(error, began=began)
        delay = (
            self.throttle.wait()
            if throttled
            else self.backoff.next_delay(error, attempt=run.tries, elapsed=now - first)
        )
        if delay is None or (run.deadline is not None and now + delay >= run.deadline):
            return None
        if throttled or (self.breaker.halted and self.breaker.holds(run, error)):
            self._counts.retried += 1
            raise PutBack
        return delay

    async def _attempt(self, run: Run) -> Exception | None:
        left = None if run.deadline is None else run.deadline - self._clock.now()
        if left is not None and left <= 0:
            return DeadlinePassed()
        run.attempt += 1
        try:
            with self.throttle.call():
                await self._bounded(run, self._do, left)
        except Exception as error:  # noqa: BLE001 every error decides on a retry
            timed_out = isinstance(error, CallTimedOut)
            return DeadlinePassed() if timed_out and left is not None else error
        return None

    async def _bounded(
        self, run: Run, call: Callable[[Run], Awaitable[None]], seconds: float | None = None
    ) -> None:
        """Call, for so many seconds or the stage's timeout. Raises CallTimedOut."""
        seconds = self._settings.call_timeout if seconds is None else seconds
        try:
            async with asyncio.timeout(seconds) as limit:
                run.call_ends = limit.when()
                await call(run)
        except Exception as error:
            if limit.expired():
                raise CallTimedOut(seconds) from error
            raise
        finally:
            run.call_ends = None

    async def _do(self, run: Run) -> None:
        if run.ended is not None and isinstance(self._stage, EndsKeys):
            await self._stage.end(run.ended)
        else:
            await self._stage.process(self._work(run))

    def _work(self, run: Run) -> Work[Message]:
        if run.record is None:
            raise AssertionError
        return Work.of(run.record, attempt=run.attempt, deadline=run.deadline)

    async def _put_off(self, run: Run, error: Exception) -> bool:
        """Write a retry, where there is to be one more."""
        rounds, retries = self._settings.retry.rounds, self._retries
        if retries is None or run.round >= len(rounds) or run.deadline is not None:
            return False
        if retry_of(error) not in (None, Retry.BRIEFLY) or run.tries == 0:
            return False
        log.info("put off a record", extra=self._facts(run, error))
        later, delay = run.round + 1, rounds[run.round]

        async def write(run: Run) -> None:
            await retries.write(run.source, error, attempts=run.attempt, round_=later, delay=delay)

        if not await self._insist(run, write, _too_large):
            return False
        self._counts.put_off += 1
        return True

    async def _give_up(self, run: Run, error: Exception) -> None:
        log.warning("gave up a record", extra=self._facts(run, error))
        if run.record is not None:
            enough = partial(self._is_enough, self._clock.now())
            await self._insist(run, partial(self._tell_owner, error), enough)
        if isinstance(error, DeadlinePassed):  # its owner knows, and it is no dead letter
            self._counts.expired += 1
            return
        await self._insist(run, partial(self._write_letter, error), _never)
        self._counts.dead_lettered += 1

    async def _tell_owner(self, error: Exception, run: Run) -> None:
        await self._stage.give_up(self._work(run), error)

    async def _write_letter(self, error: Exception, run: Run) -> None:
        envelope = run.record.envelope if run.record is not None else None
        await self._letters.write(run.source, error, attempts=run.attempt, envelope=envelope)

    async def _insist(
        self,
        run: Run,
        write: Callable[[Run], Awaitable[None]],
        enough: Callable[[Exception, int], bool],
    ) -> bool:
        """Try until it succeeds; the stage halts meanwhile, for what it would give up next.

        False when it is enough of an error. What fails for this record alone halts nobody.
        """
        halts = False
        with ExitStack() as halted:
            for attempt in count(1):
                try:
                    await self._bounded(run, write)
                except Exception as error:  # noqa: BLE001 nothing may get lost here
                    log.error(  # noqa: TRY400 a traceback could show content
                        "cannot give up a record", extra=self._facts(run, error)
                    )
                    if enough(error, attempt):
                        return False
                    if not halts and retry_of(error) is not Retry.BRIEFLY:
                        halted.enter_context(self._flow.halt())
                        halts = True
                    await run.rest(self._clock, self.backoff.delay(error, attempt=attempt))
                else:
                    return True
        raise AssertionError  # count() has no end

    def _is_enough(self, since: float, error: Exception, attempt: int) -> bool:
        policy, retry = self._settings.retry, retry_of(error)
        lasting = retry in (None, Retry.NEVER) or (
            retry is Retry.BRIEFLY and self._clock.now() - since >= policy.owner_budget
        )
        return lasting and attempt >= policy.unknown_attempts

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


def _too_large(error: Exception, _attempt: int) -> bool:
    return isinstance(error, RecordTooLarge)


def _never(_error: Exception, _attempt: int) -> bool:
    return False
