"""A member of a consumer group: a thread that owns the consumer, and a listener in asyncio.

The thread fetches, the event loop works: one wake-up of the loop per batch, one batch at a time,
and everything that the loop wants of the consumer reaches it by a queue. So neither ever waits
for the other, except in a rebalance, where the thread waits for the loop and for a bounded time.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import confluent_kafka

from forebay_kafka.group_membership import (
    GroupListener,
    GroupOptions,
    TopicPartition,
    consumer_configuration,
)
from forebay_kafka.offset_commits import OffsetCommits
from forebay_kafka.polling import received
from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.stall_watch import Expelled, Stall, StallWatch

BATCH_RECORDS = 100  # a few milliseconds of the event loop's time
IDLE_POLL_SECONDS = 0.2  # a record ends it at once; only commands wait for it
PAUSED_POLL_SECONDS = 0.02  # soon there will be a command to resume
REBALANCE_SECONDS = 30.0  # far over what a listener takes; then its partitions leave uncommitted
LEAVE_SECONDS = 10.0  # what revoking takes at most, unless no broker answers
LEAVE_POLL_SECONDS = 0.1
CLOSE_SECONDS = 15.0  # leaving takes milliseconds, unless no broker answers

log = logging.getLogger(__name__)

T = TypeVar("T")


class GroupConsumer:
    """One member of a consumer group with manual commits, reading from the earliest offset."""

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Sequence[str],
        options: GroupOptions | None = None,
    ) -> None:
        options = options or GroupOptions()
        self._configuration = consumer_configuration(settings, group, options)
        self._topics = list(topics)
        self._is_static = options.instance_id is not None
        self._hears_of_none = options.protocol == "classic"
        self._stall_seconds = options.stall_seconds
        self._stall_watch = partial(StallWatch, settings, group, options.stall_seconds)
        self._commands: queue.SimpleQueue[Callable[[confluent_kafka.Consumer], None]] = (
            queue.SimpleQueue()
        )
        self._assigned: dict[TopicPartition, object] = {}  # the value differs per assignment
        self._positions: dict[TopicPartition, int] = {}  # behind the last record of each
        self._paused: set[TopicPartition] = set()
        self._out_since: float | None = None  # when it lost all, until the group gives it a share
        self._commits = OffsetCommits(self._assigned)
        self._taken = threading.Event()
        self._closing = threading.Event()

    def start(self, listener: GroupListener) -> None:
        """Join the group; the listener is called in the running event loop from now on."""
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._consumer = self._new_consumer()
        self._watch = self._stall_watch()
        threading.Thread(target=self._run, name="forebay-consumer", daemon=True).start()

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop fetching partitions; those that are not assigned are passed over."""
        names = set(partitions)
        self._commands.put(lambda consumer: self._pause(consumer, names))

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch partitions again."""
        names = set(partitions)
        self._commands.put(lambda consumer: self._resume(consumer, names))

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit the offset of the next record to read, per partition that is still assigned."""
        wanted = dict(offsets)
        self._commands.put(lambda _: self._commits.want(wanted))

    async def close(self) -> None:
        """Leave the group, revoking what is assigned; returns once the member is gone."""
        self._closing.set()
        await asyncio.wait([self._ended], timeout=CLOSE_SECONDS)

    # What follows runs in the thread.

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                trouble = self._serve(self._consumer)
                if trouble is not None:
                    self._start_over(trouble)
            self._obey(self._consumer)
        except Exception as error:  # noqa: BLE001 the listener gets it, whatever it is
            self._call(self._listener.failed, error)
        finally:
            self._watch.close()
            self._leave(self._consumer, lambda: bool(self._assigned))
            self._call(self._end)

    def _leave(self, consumer: confluent_kafka.Consumer, holds: Callable[[], bool]) -> None:
        """Give everything back as long as it holds anything, then close.

        A member without partitions tells the group nothing by close(). One that has some is asked
        to give them back inside close(), where the client waits for a part of itself that may have
        ended, and holds Python's lock meanwhile: the process would stand still for ever. A static
        member with partitions has no other way: giving them back would tell the group to move them.
        """
        if self._is_static and holds():
            consumer.close()
            return
        with suppress(confluent_kafka.KafkaException):  # a fenced member may not
            consumer.unsubscribe()
            deadline = time.monotonic() + LEAVE_SECONDS
            while holds() and time.monotonic() < deadline:
                consumer.poll(LEAVE_POLL_SECONDS)
        consumer.close()

    def _serve(self, consumer: confluent_kafka.Consumer) -> Stall | Expelled | None:
        """Be a member until it closes, or until it gets nothing of a partition or of the group."""
        self._subscribe(consumer)
        while not self._closing.is_set():
            self._obey(consumer)
            self._commits.ask(consumer)
            self._fetch(consumer)
            fetched = self._assigned.keys() - self._paused
            stall = self._watch.check({name: self._positions.get(name) for name in fetched})
            if stall is not None:
                return stall
            if self._is_out():
                return Expelled()
        return None

    def _subscribe(self, consumer: confluent_kafka.Consumer) -> None:
        consumer.subscribe(
            self._topics,
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def _is_out(self) -> bool:
        """Whether it has had no word of its group for long, not even that nothing is its share.

        With KIP-848 silence says nothing: a group has no word for a share of none.
        """
        since = self._out_since
        return (
            self._hears_of_none
            and since is not None
            and time.monotonic() - since > self._stall_seconds
        )

    def _start_over(self, trouble: Stall | Expelled) -> None:
        """Join anew as another member; the old one is given up as it is."""
        log.error("%s; the member joins its group anew", trouble.what, extra=trouble.facts())
        old, self._consumer = self._consumer, self._new_consumer()
        names = frozenset(self._assigned)
        self._ask(self._listener.lost(names))
        self._obey(self._consumer)  # what was queued is for partitions that are gone
        self._forget(names)
        self._out_since = None
        self._commits.start_over()
        # It may not answer any more, and leaving would wait for that. Nobody keeps count of what
        # it holds, so it gets all the time that there is to give it back.
        threading.Thread(
            target=self._leave, args=(old, lambda: True), name="forebay-old-consumer", daemon=True
        ).start()

    def _new_consumer(self) -> confluent_kafka.Consumer:
        consumer: confluent_kafka.Consumer

        def committed(
            error: confluent_kafka.KafkaError | None,
            partitions: list[confluent_kafka.TopicPartition],
        ) -> None:
            if consumer is self._consumer:
                self._commits.answered(error, partitions)

        consumer = confluent_kafka.Consumer({**self._configuration, "on_commit": committed})
        return consumer

    def _obey(self, consumer: confluent_kafka.Consumer) -> None:
        while not self._commands.empty():
            self._commands.get()(consumer)

    def _fetch(self, consumer: confluent_kafka.Consumer) -> None:
        first = consumer.poll(PAUSED_POLL_SECONDS if self._paused else IDLE_POLL_SECONDS)
        if first is None:
            return
        assignment = self._assignment_of(first)
        # consume(n, t) alone waits for n records or all of t; this takes what is there.
        messages = consumer.consume(BATCH_RECORDS - 1, 0)
        if self._assignment_of(first) is assignment:  # or a rebalance came between the two
            messages.insert(0, first)
        records = [received(each) for each in messages if not _is_error(each)]
        for each in records:
            self._positions[TopicPartition(each.topic, each.partition)] = each.offset + 1
        if records:
            self._hand_over(records)

    def _assignment_of(self, message: confluent_kafka.Message) -> object:
        topic, partition = message.topic(), message.partition()
        if topic is None or partition is None:
            return None
        return self._assigned.get(TopicPartition(topic, partition))

    def _hand_over(self, records: list[Received]) -> None:
        """Give the loop a batch and wait until it has it, so that its pauses come in time."""
        self._taken.clear()
        self._call(self._deliver, records)
        while not self._taken.wait(IDLE_POLL_SECONDS):
            if self._closing.is_set():
                return

    def _on_assign(
        self, consumer: confluent_kafka.Consumer, partitions: list[confluent_kafka.TopicPartition]
    ) -> None:
        if consumer is not self._consumer:
            return
        consumer.incremental_assign(partitions)
        # A pause outlives the assignment that it was for.
        consumer.resume(partitions)
        self._out_since = None
        names = _names(partitions)
        self._assigned |= {name: object() for name in names}
        self._call(self._listener.assigned, names)

    def _on_revoke(
        self, consumer: confluent_kafka.Consumer, partitions: list[confluent_kafka.TopicPartition]
    ) -> None:
        if consumer is not self._consumer:
            consumer.incremental_unassign(partitions)
            return
        names = _names(partitions)
        offsets = self._ask(self._listener.revoked(names))
        self._obey(consumer)  # commits that were queued are older than these offsets
        self._commits.ask_now(consumer, offsets or {})
        self._forget(names)

    def _on_lost(
        self, consumer: confluent_kafka.Consumer, partitions: list[confluent_kafka.TopicPartition]
    ) -> None:
        if consumer is not self._consumer:
            consumer.incremental_unassign(partitions)
            return
        names = _names(partitions)
        self._ask(self._listener.lost(names))
        self._obey(consumer)  # so that no commit that is queued survives
        self._forget(names)

    def _forget(self, names: frozenset[TopicPartition]) -> None:
        self._paused -= names
        self._watch.forget(names)
        self._commits.forget(names)
        for name in names:
            self._assigned.pop(name, None)
            self._positions.pop(name, None)
        if not self._assigned:
            self._out_since = time.monotonic()

    def _pause(self, consumer: confluent_kafka.Consumer, names: set[TopicPartition]) -> None:
        present = names & self._assigned.keys()
        self._paused |= present
        self._watch.forget(present)
        consumer.pause(_native(present))

    def _resume(self, consumer: confluent_kafka.Consumer, names: set[TopicPartition]) -> None:
        present = names & self._assigned.keys()
        self._paused -= present
        consumer.resume(_native(present))

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._closing.set()

    def _ask(self, answer: Coroutine[Any, Any, T]) -> T | None:
        try:
            future = asyncio.run_coroutine_threadsafe(answer, self._loop)
        except RuntimeError:  # the loop is closed: nobody listens any more
            answer.close()
            self._closing.set()
            return None
        try:
            return future.result(REBALANCE_SECONDS)
        except Exception:  # the group must not wait for a listener's defect
            log.exception("partitions leave without a commit")
            return None

    # What follows runs in the event loop.

    def _deliver(self, records: list[Received]) -> None:
        try:
            if not self._closing.is_set():
                self._listener.received(records)
        finally:
            self._taken.set()

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


def _is_error(message: confluent_kafka.Message) -> bool:
    error = message.error()
    if error is None:
        return False
    # A member that was fenced says so by the code alone.
    if error.fatal() or error.code() == confluent_kafka.KafkaError._FATAL:  # noqa: SLF001
        raise confluent_kafka.KafkaException(error)
    log.warning("fetch failed, and goes on: %s", error)
    return True


def _names(partitions: Iterable[confluent_kafka.TopicPartition]) -> frozenset[TopicPartition]:
    return frozenset(TopicPartition(each.topic, each.partition) for each in partitions)


def _native(names: Iterable[TopicPartition]) -> list[confluent_kafka.TopicPartition]:
    return [confluent_kafka.TopicPartition(name.topic, name.partition) for name in names]
