"""The loop around a stage: membership, taking records in, committing, leaving."""

import asyncio
from collections import Counter, deque
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from forebay_kafka.group_membership import TopicPartition
from forebay_kafka.records import Received, RecordReader
from forebay_workers.record_loop.admission import Admission
from forebay_workers.record_loop.clock import Clock
from forebay_workers.record_loop.counters import (
    Counts,
    LoopSnapshot,
    LoopState,
    PartitionSnapshot,
)
from forebay_workers.record_loop.dead_letters import DeadLetters
from forebay_workers.record_loop.flow import Flow
from forebay_workers.record_loop.ownership import Ownership
from forebay_workers.record_loop.partition import HeldPartition
from forebay_workers.record_loop.retry_topic import RETRIES, RetryTopic
from forebay_workers.record_loop.runner import RecordRunner
from forebay_workers.record_loop.schedule import Schedule
from forebay_workers.record_loop.settings import LoopSettings
from forebay_workers.record_loop.source import RecordSource
from forebay_workers.record_loop.stage import Stage
from forebay_workers.record_loop.stuck import StuckCalls

ADMISSION_SECONDS = 0.003  # in a row; running calls wait meanwhile
REVIEW_SECONDS = 0.25  # how late a passed deadline or a stuck call is noticed


class RecordLoop:
    """Runs one stage as one member of its consumer group.

    It is the listener of its source: what it holds changes only through `assigned`, `revoked` and
    `lost`. Everything runs in one event loop. The source reads the retry topic too where `retries`
    is given.
    """

    def __init__(
        self,
        stage: Stage[Any],
        source: RecordSource,
        reader: RecordReader,
        letters: DeadLetters,
        settings: LoopSettings,
        clock: Clock,
        retries: RetryTopic | None = None,
    ) -> None:
        self.stage = stage.stage
        self.group = letters.group
        self.joined = asyncio.Event()
        """Set with the first assignment, even an empty one."""
        self._source = source
        self._settings = settings
        self._counts = Counts()
        self._clock = clock
        self._flow = Flow(source, settings)
        self._runner = RecordRunner(
            stage, letters, retries, self._flow, settings, clock, self._counts
        )
        self._admission = Admission(
            stage,
            reader,
            retries,
            clock,
            self._counts,
            heeds_deadlines=settings.heeds_deadlines,
        )
        self._schedule = Schedule(
            self._runner,
            self._admission,
            self._flow,
            settings,
            clock,
            done=lambda run: self._finish(run.held, run.taken),
            broke=self.failed,
        )
        self._ownership = Ownership(stage, self._runner.backoff, clock)
        self._stuck = StuckCalls(letters.group, settings)
        self._held: dict[TopicPartition, HeldPartition] = {}
        self._inbox: deque[tuple[HeldPartition, Received]] = deque()
        self._arrived = asyncio.Event()
        self._background: set[asyncio.Task[object]] = set()
        self._finished = 0
        self._commit_timer: asyncio.TimerHandle | None = None
        self._failure: asyncio.Future[None] | None = None
        self._leaving = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then drain and leave the group.

        Raises what made the member fail. Cancelled, it leaves at once and commits nothing more.
        """
        self._failure = asyncio.get_running_loop().create_future()
        self._source.start(self)
        parts: list[asyncio.Future[Any]] = [
            self._spawn(self._admit_arrivals()),
            self._spawn(self._review()),
        ]
        if self._settings.paced:
            parts.append(self._spawn(self._schedule.pace.keep()))
        stopped = self._spawn(stop.wait())
        try:
            ends: set[asyncio.Future[Any]] = {*parts, stopped, self._failure}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for ended in (self._failure, *parts):
                if ended.done():
                    ended.result()
            await self._drain()
        except BaseException:
            await self._abandon()
            raise
        finally:
            self._schedule.close()
            for task in self._background:
                task.cancel()
            await self._source.close()
            self._cancel_commit_timer()

    def snapshot(self) -> LoopSnapshot:
        """What was done so far and what is at hand."""
        held, in_flight = self._held.values(), Counter(run.held for run in self._schedule.running)
        return LoopSnapshot(
            time=self._clock.wall_time(),
            counts=replace(self._counts),
            state=self._state(),
            in_flight=in_flight.total(),
            waiting=self._schedule.waiting + len(self._inbox) + sum(len(h.parked) for h in held),
            stuck=self._stuck.count,
            uncommitted=sum(each.span for each in held),
            held_bytes=sum(each.held_bytes for each in held),
            partitions=tuple(_snapshot(each, in_flight[each]) for each in held),
        )

    def _state(self) -> LoopState:
        if self._leaving:
            return LoopState.LEAVING
        if self._flow.halted or self._runner.breaker.halted:
            return LoopState.HALTED
        return LoopState.THROTTLED if self._runner.throttle.shown else LoopState.RUNNING

    # The group: forebay_kafka.GroupListener.

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Hold new partitions; their records wait until the stage has taken them over."""
        new = [HeldPartition(name) for name in partitions]
        for held in new:
            self._held[held.partition] = held
            self._flow.watch(held)
            held.taken_over = held.partition.topic == RETRIES  # nothing lies beside it
        self._spawn(self._take_over([held for held in new if not held.taken_over]))
        self.joined.set()

    def received(self, records: Sequence[Received]) -> None:
        """Take a batch in; pauses what is now over its bound."""
        touched = set()
        for record in records:
            held = self._held.get(TopicPartition(record.topic, record.partition))
            if held is None:
                continue
            self._counts.consumed += 1
            held.take(record)
            touched.add(held)
            if held.taken_over:
                self._inbox.append((held, record))
            else:
                held.parked.append(record)
        for held in touched:
            self._flow.review(held)
        self._arrived.set()

    async def revoked(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Finish what runs within the revoke timeout; what is contiguously done is committed."""
        held = self._holding(partitions)
        await self._schedule.leave(set(held), self._settings.revoke_timeout)
        self._forget(held)
        await self._ownership.release(self._gone(partitions))
        return {each.partition: each.committable for each in held if each.committable is not None}

    async def lost(self, partitions: frozenset[TopicPartition]) -> None:
        """Cancel what runs: somebody else does it already."""
        held = self._holding(partitions)
        self._forget(held)
        await self._schedule.leave(set(held), 0)
        await self._ownership.release(self._gone(partitions))

    def failed(self, error: Exception) -> None:
        """End `run` with this error."""
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)

    # From a record received to one that waits for its turn.

    async def _take_over(self, new: list[HeldPartition]) -> None:
        await self._ownership.take(frozenset(held.partition.partition for held in new))
        for held in new:
            held.taken_over = True
            self._inbox.extend((held, record) for record in held.parked)
            held.parked.clear()
        self._arrived.set()

    async def _admit_arrivals(self) -> None:
        time = asyncio.get_running_loop().time
        while await self._arrived.wait():
            self._arrived.clear()
            while self._inbox:
                until = time() + ADMISSION_SECONDS
                while self._inbox and time() < until:
                    self._admit(*self._inbox.popleft())
                self._schedule.start()
                await asyncio.sleep(0)

    def _admit(self, held: HeldPartition, record: Received) -> None:
        if held.leaving:
            return
        run, wait = self._admission.admit(held, record)
        if run is None:
            self._finish(held, record)
        else:
            self._schedule.add(run, wait)

    async def _review(self) -> None:
        while True:
            await asyncio.sleep(REVIEW_SECONDS)
            self._runner.sleep.tick()
            self._schedule.expire()
            self._stuck.review(self._schedule.running)

    # From a finished record to a committed offset.

    def _finish(self, held: HeldPartition, record: Received) -> None:
        if self._held.get(held.partition) is not held:
            return  # fenced: another member does it, or this one again
        held.finish(record)
        self._flow.review(held)
        self._finished += 1
        if self._finished >= self._settings.commit.records:
            self._commit()
        elif self._commit_timer is None:
            loop = asyncio.get_running_loop()
            self._commit_timer = loop.call_later(self._settings.commit.seconds, self._commit)

    def _commit(self) -> None:
        self._cancel_commit_timer()
        self._finished = 0
        offsets = {}
        for held in self._held.values():
            if held.committable is not None and held.committable != held.committed:
                offsets[held.partition] = held.committed = held.committable
        if offsets:
            self._source.commit(offsets)

    def _cancel_commit_timer(self) -> None:
        if self._commit_timer is not None:
            self._commit_timer.cancel()
            self._commit_timer = None

    # Ways out.

    async def _drain(self) -> None:
        self._leaving = True
        self._flow.stop()
        await self._schedule.leave(set(self._held.values()), self._settings.drain_timeout)

    async def _abandon(self) -> None:
        self._leaving = True
        self._flow.stop()
        held = list(self._held.values())
        self._forget(held)
        await self._schedule.leave(set(held), 0)

    def _holding(self, partitions: Iterable[TopicPartition]) -> list[HeldPartition]:
        return [self._held[name] for name in partitions if name in self._held]

    def _forget(self, partitions: Iterable[HeldPartition]) -> None:
        for held in partitions:
            held.leaving = True
            self._flow.forget(held)
            del self._held[held.partition]

    def _gone(self, partitions: Iterable[TopicPartition]) -> frozenset[int]:
        """The numbers of which no input is held any more."""
        kept = {name.partition for name in self._held if name.topic != RETRIES}
        return frozenset(name.partition for name in partitions if name.topic != RETRIES) - kept

    def _spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


def _snapshot(held: HeldPartition, in_flight: int) -> PartitionSnapshot:
    waiting = held.unfinished - in_flight
    return PartitionSnapshot(held.partition, held.position, waiting, in_flight, held.oldest_ms)
