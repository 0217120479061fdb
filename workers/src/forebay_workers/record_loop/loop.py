"""The loop around a stage: membership, admission, starting, finishing, committing, leaving."""

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from forebay_kafka.group_membership import TopicPartition
from forebay_kafka.records import Received, RecordReader
from forebay_kafka.topics import topic_named
from forebay_workers.record_loop.clock import Clock
from forebay_workers.record_loop.counters import LoopSnapshot
from forebay_workers.record_loop.dead_letters import DeadLetters
from forebay_workers.record_loop.flow import Flow
from forebay_workers.record_loop.lanes import FairLanes, Place
from forebay_workers.record_loop.ownership import Ownership
from forebay_workers.record_loop.partition import HeldPartition
from forebay_workers.record_loop.retry import Backoff
from forebay_workers.record_loop.runner import Leaving, RecordRunner, Run
from forebay_workers.record_loop.settings import LoopSettings
from forebay_workers.record_loop.source import RecordSource
from forebay_workers.record_loop.stage import EndsKeys, Stage

ADMITTED_AT_ONCE = 16  # verifying one takes up to 0.2 ms; more in a row delays running calls
CANCEL_TIMEOUT = 1.0  # seconds for a cancelled call to end; it is fenced even if it does not


class RecordLoop:
    """Runs one stage as one member of its consumer group.

    It is the listener of its source: what it holds changes only through `assigned`, `revoked` and
    `lost`. Everything runs in one event loop.
    """

    def __init__(
        self,
        stage: Stage[Any],
        source: RecordSource,
        reader: RecordReader,
        letters: DeadLetters,
        settings: LoopSettings,
        clock: Clock,
    ) -> None:
        self.joined = asyncio.Event()
        """Set with the first assignment, even an empty one."""
        self._stage = stage
        self._source = source
        self._reader = reader
        self._settings = settings
        self._clock = clock
        self._flow = Flow(source, settings)
        self._runner = RecordRunner(stage, letters, self._flow, settings.retry, clock)
        self._ownership = Ownership(stage, Backoff(settings.retry), clock)
        self._lanes: FairLanes[Run] = FairLanes()
        self._held: dict[TopicPartition, HeldPartition] = {}
        self._inbox: deque[tuple[HeldPartition, Received]] = deque()
        self._arrived = asyncio.Event()
        self._running: set[Run] = set()
        self._background: set[asyncio.Task[object]] = set()
        self._finished = 0
        self._commit_timer: asyncio.TimerHandle | None = None
        self._failure: asyncio.Future[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then drain and leave the group.

        Raises what made the member fail. Cancelled, it leaves at once and commits nothing more.
        """
        self._failure = asyncio.get_running_loop().create_future()
        self._source.start(self)
        admission = self._spawn(self._admit_arrivals())
        stopped = self._spawn(stop.wait())
        try:
            ends: set[asyncio.Future[Any]] = {admission, stopped, self._failure}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for ended in (self._failure, admission):
                if ended.done():
                    ended.result()
            await self._drain()
        except BaseException:
            await self._abandon()
            raise
        finally:
            for task in self._background:
                task.cancel()
            await self._source.close()
            self._cancel_commit_timer()

    def snapshot(self) -> LoopSnapshot:
        """What was done so far and what is at hand."""
        held = self._held.values()
        return LoopSnapshot(
            **asdict(self._runner.counts),
            in_flight=len(self._running),
            waiting=self._lanes.waiting + len(self._inbox) + sum(len(h.parked) for h in held),
            uncommitted=sum(partition.span for partition in held),
            held_bytes=sum(partition.held_bytes for partition in held),
            partitions=len(held),
            halted=self._flow.halted,
        )

    # The group: forebay_kafka.GroupListener.

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Hold new partitions; their records wait until the stage has taken them over."""
        new = [HeldPartition(name) for name in partitions]
        for held in new:
            self._held[held.partition] = held
            self._flow.watch(held)
        self._spawn(self._take_over(new))
        self.joined.set()

    def received(self, records: Sequence[Received]) -> None:
        """Take a batch in; pauses what is now over its bound."""
        touched = set()
        for record in records:
            held = self._held.get(TopicPartition(record.topic, record.partition))
            if held is None:
                continue
            self._runner.counts.consumed += 1
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
        await self._leave(held, self._settings.revoke_timeout)
        self._forget(held)
        await self._ownership.release(self._gone(partitions))
        return {each.partition: each.committable for each in held if each.committable is not None}

    async def lost(self, partitions: frozenset[TopicPartition]) -> None:
        """Cancel what runs: somebody else does it already."""
        held = self._holding(partitions)
        self._forget(held)
        await self._leave(held, 0)
        await self._ownership.release(self._gone(partitions))

    def failed(self, error: Exception) -> None:
        """End `run` with this error."""
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)

    # From a record received to one that runs.

    async def _take_over(self, new: list[HeldPartition]) -> None:
        await self._ownership.take(frozenset(held.partition.partition for held in new))
        for held in new:
            held.taken_over = True
            self._inbox.extend((held, record) for record in held.parked)
            held.parked.clear()
        self._arrived.set()

    async def _admit_arrivals(self) -> None:
        while await self._arrived.wait():
            self._arrived.clear()
            while self._inbox:
                for _ in range(min(ADMITTED_AT_ONCE, len(self._inbox))):
                    self._admit(*self._inbox.popleft())
                self._start_next()
                await asyncio.sleep(0)

    def _admit(self, held: HeldPartition, record: Received) -> None:
        if held.leaving:
            return
        if record.value is None and topic_named(record.topic).compacted:
            self._runner.counts.tombstones += 1
            self._admit_tombstone(held, record)
            return
        self._lanes.add(self._place(held, record))

    def _admit_tombstone(self, held: HeldPartition, source: Received) -> None:
        if source.key is None or not isinstance(self._stage, EndsKeys):
            self._finish(held, source)
            return
        key = source.key.decode(errors="replace")
        run = Run(held, source, ended=key)
        self._lanes.add(Place(self._stage.lane_of_key(key), key.partition("/")[0], run))

    def _place(self, held: HeldPartition, source: Received) -> Place[Run]:
        run = Run(held, source)
        lane, tenant = f"{source.topic}/{source.partition}/{source.offset}", ""
        try:
            record = self._reader.read(source)
            run.record, run.deadline = record, self._deadline(record.envelope.statement.expire_time)
            tenant = record.envelope.identity.tenant
            lane = self._stage.lane(record)
        except Exception as error:  # noqa: BLE001 poison never stops a partition
            run.error = error
        return Place(lane, tenant, run)

    def _deadline(self, expire_time: int | None) -> float | None:
        if expire_time is None:
            return None
        return self._clock.now() + expire_time - self._clock.wall_time()

    def _start_next(self) -> None:
        while len(self._running) < self._settings.max_in_flight and not self._flow.halted:
            place = self._lanes.start()
            if place is None:
                return
            self._running.add(place.item)
            place.item.task = asyncio.create_task(self._run(place.item))
            place.item.task.add_done_callback(partial(self._ended, place))

    # From a record that runs to a committed offset.

    async def _run(self, run: Run) -> None:
        try:
            await self._runner.run(run)
        except Leaving:
            return
        self._finish(run.held, run.source)

    def _ended(self, place: Place[Run], task: asyncio.Task[None]) -> None:
        self._running.discard(place.item)
        self._lanes.finish(place)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed(error if isinstance(error, Exception) else RuntimeError(str(error)))
        self._start_next()

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
        self._flow.stop()
        await self._leave(self._held.values(), self._settings.drain_timeout)

    async def _leave(self, partitions: Iterable[HeldPartition], grace: float) -> None:
        """End all runs of partitions: those that only wait at once, the others after `grace`."""
        leaving = set(partitions)
        for held in leaving:
            held.leaving = True
        self._lanes.discard(lambda run: run.held in leaving)
        runs = [run for run in self._running if run.held in leaving]
        for run in runs:
            run.leave()
        tasks = {run.task for run in runs if run.task is not None}
        if tasks and grace > 0:
            _, tasks = await asyncio.wait(tasks, timeout=grace)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_TIMEOUT)

    async def _abandon(self) -> None:
        self._flow.stop()
        held = list(self._held.values())
        self._forget(held)
        await self._leave(held, 0)

    def _holding(self, partitions: Iterable[TopicPartition]) -> list[HeldPartition]:
        return [self._held[name] for name in partitions if name in self._held]

    def _forget(self, partitions: Iterable[HeldPartition]) -> None:
        for held in partitions:
            held.leaving = True
            self._flow.forget(held)
            del self._held[held.partition]

    def _gone(self, partitions: Iterable[TopicPartition]) -> frozenset[int]:
        """The numbers of which no topic is held any more."""
        kept = {name.partition for name in self._held}
        return frozenset(name.partition for name in partitions) - kept

    def _spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task
