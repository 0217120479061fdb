"""The bounds of a record loop."""

from dataclasses import dataclass, field

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a failing record is tried in place; times in seconds.

    Waits grow as first_delay * 2^(attempt - 1) up to longest_delay, with full jitter.
    """

    budget: float = 30.0  # under a librdkafka client's patience, over a rolling restart's gap
    first_delay: float = 0.1  # a lost connection is back after one
    longest_delay: float = 5.0  # how late an ended outage may be noticed
    unknown_attempts: int = 3  # an error that says nothing is more often a defect than a fault


@dataclass(frozen=True, slots=True)
class CommitPolicy:
    """Offsets are committed once this many records are done, or this long after the first of them.

    What it bounds is how much a crash repeats, and how often the group's coordinator is asked.
    """

    records: int = 1_000
    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Bounds of one stage in one process; times in seconds."""

    max_in_flight: int = 500  # calls that mostly wait; the event loop turns 500 without effort
    max_uncommitted_records: int = 2_000  # per partition; a crash repeats no more than these
    max_held_bytes: int = 64 * MIB  # over all partitions; eight records of the largest size
    drain_timeout: float = 20.0  # an orchestrator kills after 30 by default
    revoke_timeout: float = 5.0  # the whole group waits for it in a rebalance
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    commit: CommitPolicy = field(default_factory=CommitPolicy)
