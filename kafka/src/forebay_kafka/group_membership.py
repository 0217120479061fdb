"""What a member of a consumer group is told, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from forebay_kafka.records import Received
from forebay_kafka.settings import MAX_RECORD_BYTES, KafkaSettings


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class GroupListener(Protocol):
    """What happens to a member of a group; everything is called in the event loop."""

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Partitions came, before any of their records.

        With the classic protocol, an assignment of none is announced too.
        """

    def received(self, records: Sequence[Received]) -> None:
        """Records came, of each partition in the order of the log."""

    async def revoked(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Partitions leave once this returns; the offsets are committed before.

        The whole group waits meanwhile.
        """

    async def lost(self, partitions: frozenset[TopicPartition]) -> None:
        """Partitions are somebody else's already: nothing of them may be committed."""

    def failed(self, error: Exception) -> None:
        """The member is out for good."""


@dataclass(frozen=True)
class GroupOptions:
    """How a member fetches and rebalances; sizes in bytes, times in seconds.

    `protocol` is classic with cooperative-sticky assignment, or `consumer` (KIP-848), where the
    session timeout is the group's own configuration. `instance_id` makes the membership static
    (KIP-345): a member that is back within its session gets its partitions without a rebalance.
    A partition may stand for `stall_seconds` with records to read before the member starts over.
    """

    protocol: Literal["classic", "consumer"] = "classic"
    instance_id: str | None = None
    stall_seconds: float = 20.0  # a leader is elected and found anew within ten
    fetch_ahead: int = 2 * MAX_RECORD_BYTES  # the largest record, and the next one meanwhile


def consumer_configuration(
    settings: KafkaSettings, group: str, options: GroupOptions
) -> dict[str, str | int | bool]:
    """What librdkafka is told, in its own names and units."""
    return {
        **settings.client_options(),
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # The default of 64 MiB is per consumer, and a process has several.
        "queued.max.messages.kbytes": options.fetch_ahead // 1024,
        "fetch.max.bytes": options.fetch_ahead,
        "receive.message.max.bytes": options.fetch_ahead + MAX_RECORD_BYTES,
        # A partition that is new waits for the fetch that is under way. Idle consumers that ask
        # every 50 ms took a tenth of a core from the broker.
        "fetch.wait.max.ms": 200,
        # How long a full queue is left alone; the default of 1 s starves a stage that catches up.
        "fetch.queue.backoff.ms": 20,
        **_membership(settings, options),
    }


def _membership(settings: KafkaSettings, options: GroupOptions) -> dict[str, str | int | bool]:
    static = {"group.instance.id": options.instance_id} if options.instance_id else {}
    if options.protocol == "consumer":
        return {"group.protocol": "consumer", **static}
    session = int(settings.session_timeout * 1000)
    return {
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": session,
        # Members learn of a rebalance by their next heartbeat.
        "heartbeat.interval.ms": min(session // 3, 1000),
        **static,
    }
