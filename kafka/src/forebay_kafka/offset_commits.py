"""Commits of a group's member: one at a time, none lost, none that goes back."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping

import confluent_kafka

from forebay_kafka.group_membership import TopicPartition

COMMIT_AGAIN_SECONDS = 0.1  # about as long as a generation takes to form
COMMIT_LOST_SECONDS = 90.0  # a request is over after 60 s at the latest, and then we hear of it

log = logging.getLogger(__name__)

Assignments = Mapping[TopicPartition, object]


class OffsetCommits:
    """What is to be committed, and what was asked of the group.

    It belongs to the thread of the consumer. `assigned` maps partitions to their assignments: an
    offset of an assignment that is over is never committed.
    """

    def __init__(self, assigned: Assignments) -> None:
        self._assigned = assigned
        self._wanted: dict[TopicPartition, int] = {}
        self._asking: dict[TopicPartition, object] = {}  # the assignments that it is for
        self._asked: dict[TopicPartition, int] = {}  # the newest of each, however it went
        self._not_before = self._lost_after = 0.0

    def want(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit these at the next occasion."""
        self._wanted |= offsets

    def forget(self, names: Iterable[TopicPartition]) -> None:
        """Let go of partitions that leave."""
        for name in names:
            self._wanted.pop(name, None)
            self._asked.pop(name, None)

    def start_over(self) -> None:
        """Wait for no answer any more: whoever was asked is gone."""
        self._asking = {}

    def ask(self, consumer: confluent_kafka.Consumer) -> None:
        """Ask for a commit where one is due; `answered` hears of it in a later poll."""
        now = time.monotonic()
        if self._asking and now > self._lost_after:
            self._give_up_waiting()
        if self._asking or not self._wanted or now < self._not_before:
            return
        offsets = {name: o for name, o in self._wanted.items() if name in self._assigned}
        self._wanted.clear()
        if offsets:
            self._asked |= offsets
            self._asking = dict(self._assigned)
            self._lost_after = now + COMMIT_LOST_SECONDS
            consumer.commit(offsets=_native(offsets), asynchronous=True)

    def ask_now(
        self, consumer: confluent_kafka.Consumer, offsets: Mapping[TopicPartition, int]
    ) -> None:
        """Commit before partitions leave, and wait for it."""
        present = {name: offset for name, offset in offsets.items() if name in self._assigned}
        if not present:
            return
        try:
            consumer.commit(offsets=_native(present), asynchronous=False)
        except confluent_kafka.KafkaException as error:
            log.warning("partitions leave without a commit: %s", error)

    def answered(
        self,
        error: confluent_kafka.KafkaError | None,
        partitions: list[confluent_kafka.TopicPartition],
    ) -> None:
        """Hear how a commit went; what failed is asked for again, unless a newer one was."""
        asking, self._asking = self._asking, {}
        failed = [each for each in partitions if error is not None or each.error is not None]
        if not failed:
            return
        # Usual in a rebalance, where the generation may move on under way.
        log.info("a commit is tried again: %s", error or failed[0].error)
        self._not_before = time.monotonic() + COMMIT_AGAIN_SECONDS
        for each in failed:
            name = TopicPartition(each.topic, each.partition)
            same = name in self._assigned and self._assigned[name] is asking.get(name)
            if same and each.offset >= self._asked.get(name, each.offset):
                self._wanted.setdefault(name, each.offset)

    def _give_up_waiting(self) -> None:
        log.warning("a commit was never answered; it is asked for again")
        for name, offset in self._asked.items():
            if self._assigned.get(name) is self._asking.get(name):
                self._wanted.setdefault(name, offset)
        self._asking = {}


def _native(offsets: Mapping[TopicPartition, int]) -> list[confluent_kafka.TopicPartition]:
    return [
        confluent_kafka.TopicPartition(name.topic, name.partition, offset)
        for name, offset in offsets.items()
    ]
