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
from collections.abc import Callable, Container, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import confluent_kafka

from forebay_kafka.group_membership import (
    GroupListener,
    GroupOptions,
    TopicPartition,
    consumer_configuration,
)
from forebay_kafka.polling import received
from forebay_kafka.records import Received
from forebay_kafka.settings import KafkaSettings

BATCH_RECORDS = 100  # a few milliseconds of the event loop's time
IDLE_POLL_SECONDS = 0.2  # a record ends it at once; only commands wait for it
PAUSED_POLL_SECONDS = 0.02  # soon there will be a command to resume
REBALANCE_SECONDS = 30.0  # far over what a listener takes; then its partitions leave uncommitted
COMMIT_AGAIN_SECONDS = 0.1  # about as long as a generation takes to form
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
        self._configuration = {
            **consumer_configuration(settings, group, options or GroupOptions()),
            "on_commit": self._committed,
        }
        self._topics = list(topics)
        self._commands: queue.SimpleQueue[Callable[[confluent_kafka.Consumer], None]] = (
            queue.SimpleQueue()
        )
        self._assigned: dict[TopicPartition, object] = {}  # the value differs per assignment
        self._paused: set[TopicPartition] = set()
        self._uncommitted: dict[TopicPartition, int] = {}
        self._committing: dict[TopicPartition, object] = {}  # the assignments that it is for
        self._commit_from = 0.0
        self._taken = threading.Event()
        self._closing = threading.Event()

    def start(self, listener: GroupListener) -> None:
        """Join the group; the listener is called in the running event loop from now on."""
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        consumer = confluent_kafka.Consumer(self._configuration)
        threading.Thread(
            target=self._run, args=(consumer,), name="forebay-consumer", daemon=True
        ).start()

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
        self._commands.put(lambda _: self._uncommitted.update(wanted))

    async def close(self) -> None:
        """Leave the group, revoking what is assigned; returns once the member is gone."""
        self._closing.set()
        await asyncio.wait([self._ended], timeout=CLOSE_SECONDS)

    # What follows runs in the thread.

    def _run(self, consumer: confluent_kafka.Consumer) -> None:
        try:
            consumer.subscribe(
                self._topics,
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )
            while not self._closing.is_set():
                self._obey(consumer)
                self._commit(consumer)
                self._fetch(consumer)
            self._obey(consumer)
        except Exception as error:  # noqa: BLE001 the listener gets it, whatever it is
            self._call(self._listener.failed, error)
        finally:
            if not self._assigned:
                # close() alone tells the group nothing then, and it waits for a session timeout.
                consumer.unsubscribe()
            consumer.close()
            self._call(self._end)

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
        consumer.incremental_assign(partitions)
        # A pause outlives the assignment that it was for.
        consumer.resume(partitions)
        names = _names(partitions)
        self._assigned |= {name: object() for name in names}
        self._call(self._listener.assigned, names)

    def _on_revoke(
        self, consumer: confluent_kafka.Consumer, partitions: list[confluent_kafka.TopicPartition]
    ) -> None:
        names = _names(partitions)
        offsets = self._ask(self._listener.revoked(names))
        self._obey(consumer)  # commits that were queued are older than these offsets
        self._commit_now(consumer, offsets or {})
        self._forget(names)

    def _on_lost(
        self, consumer: confluent_kafka.Consumer, partitions: list[confluent_kafka.TopicPartition]
    ) -> None:
        names = _names(partitions)
        self._ask(self._listener.lost(names))
        self._obey(consumer)  # so that no commit that is queued survives
        self._forget(names)

    def _forget(self, names: frozenset[TopicPartition]) -> None:
        self._paused -= names
        for name in names:
            self._assigned.pop(name, None)
            self._uncommitted.pop(name, None)

    def _pause(self, consumer: confluent_kafka.Consumer, names: set[TopicPartition]) -> None:
        present = names & self._assigned.keys()
        self._paused |= present
        consumer.pause(_native(present))

    def _resume(self, consumer: confluent_kafka.Consumer, names: set[TopicPartition]) -> None:
        present = names & self._assigned.keys()
        self._paused -= present
        consumer.resume(_native(present))

    def _commit(self, consumer: confluent_kafka.Consumer) -> None:
        """Ask for a commit; `_committed` hears of it in a later poll."""
        if self._committing or not self._uncommitted or time.monotonic() < self._commit_from:
            return
        offsets = _offsets(self._uncommitted, self._assigned)
        self._uncommitted.clear()
        if offsets:
            self._committing = dict(self._assigned)
            consumer.commit(offsets=offsets, asynchronous=True)

    def _committed(
        self,
        error: confluent_kafka.KafkaError | None,
        partitions: list[confluent_kafka.TopicPartition],
    ) -> None:
        asked, self._committing = self._committing, {}
        failed = [each for each in partitions if error is not None or each.error is not None]
        if not failed:
            return
        # Usual in a rebalance, where the generation may move on under way.
        log.info("a commit is tried again: %s", error or failed[0].error)
        self._commit_from = time.monotonic() + COMMIT_AGAIN_SECONDS
        for each in failed:
            name = TopicPartition(each.topic, each.partition)
            if name in self._assigned and self._assigned[name] is asked.get(name):
                self._uncommitted.setdefault(name, each.offset)

    def _commit_now(
        self, consumer: confluent_kafka.Consumer, offsets: Mapping[TopicPartition, int]
    ) -> None:
        native = _offsets(offsets, self._assigned)
        if not native:
            return
        try:
            consumer.commit(offsets=native, asynchronous=False)
        except confluent_kafka.KafkaException as error:
            log.warning("partitions leave without a commit: %s", error)

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
    if error.fatal():
        raise confluent_kafka.KafkaException(error)
    log.warning("fetch failed, and goes on: %s", error)
    return True


def _names(partitions: Iterable[confluent_kafka.TopicPartition]) -> frozenset[TopicPartition]:
    return frozenset(TopicPartition(each.topic, each.partition) for each in partitions)


def _offsets(
    offsets: Mapping[TopicPartition, int], assigned: Container[TopicPartition]
) -> list[confluent_kafka.TopicPartition]:
    return [
        confluent_kafka.TopicPartition(name.topic, name.partition, offset)
        for name, offset in offsets.items()
        if name in assigned
    ]


def _native(names: Iterable[TopicPartition]) -> list[confluent_kafka.TopicPartition]:
    return [confluent_kafka.TopicPartition(name.topic, name.partition) for name in names]
