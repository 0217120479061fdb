"""What a record loop has done and has at hand."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """What happened to records since the loop began; the loop counts here."""

    consumed: int = 0
    processed: int = 0
    retried: int = 0
    expired: int = 0
    dead_lettered: int = 0
    tombstones: int = 0


@dataclass(frozen=True, slots=True)
class LoopSnapshot:
    """The counts of one moment.

    `consumed` = processed + expired + dead_lettered + tombstones + what is at hand or was
    dropped with a partition. `uncommitted` is the sum of the partitions' spans.
    """

    consumed: int
    processed: int
    retried: int
    expired: int
    dead_lettered: int
    tombstones: int
    in_flight: int
    waiting: int
    uncommitted: int
    held_bytes: int
    partitions: int
    halted: bool
