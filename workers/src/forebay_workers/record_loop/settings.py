"""The bounds of a record loop; times are in seconds."""

from dataclasses import dataclass, field

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a failing record is tried in place, and after which waits once more.

    Waits in place grow as first_delay * 2^(attempt - 1) up to longest_delay, with full jitter.
    Each of `rounds` puts the record off to the group's retry topic once. `owner_budget` is for
    telling the owner of a record that was given up.
    """

    budget: float = 30.0  # under a librdkafka client's patience, over a rolling restart's gap
    first_delay: float = 0.1  # a lost connection is back after one
    longest_delay: float = 5.0  # how late an ended outage may be noticed
    unknown_attempts: int = 3  # an error that says nothing is more often a defect than a fault
    owner_budget: float = 120.0  # a stopped worker's locks on rows are gone after half of it
    rounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """A stage halts when more than `share` of its last `records` failed."""

    records: int = 20  # fewer are an accident
    share: float = 0.5


@dataclass(frozen=True, slots=True)
class CommitPolicy:
    """Offsets are committed once this many records are done, or this long after the first of them.

    What it bounds is how much a crash repeats, and how often the group's coordinator is asked.
    """

    records: int = 1_000
    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Bounds of one stage in one process.

    `call_timeout` ends an attempt at a record that has no deadline of its own. A call that goes on
    after it was cancelled is stuck after `stuck_after`; after `stuck_limit` the loop fails. Where
    `heeds_deadlines` is off, a record is worked on however late it is. Where `paced`, fewer are in
    flight while the event loop itself is what they wait for.
    """

    max_in_flight: int = 500  # calls that mostly wait; the event loop turns 500 without effort
    max_uncommitted_records: int = 20_000  # per partition; a flood must not hide who comes behind
    max_held_bytes: int = 64 * MIB  # per topic; eight of the largest
    call_timeout: float = 120.0  # a large document's calls to a model take a minute
    stuck_after: float = 2.0  # what is cancelled ends at once, unless it cleans up
    stuck_limit: float = 60.0  # it may hold a thread or a lock: only another process is rid of it
    drain_timeout: float = 20.0  # an orchestrator kills after 30 by default
    revoke_timeout: float = 5.0  # the whole group waits for it in a rebalance
    heeds_deadlines: bool = True
    paced: bool = False
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: BreakerPolicy | None = field(default_factory=BreakerPolicy)
    commit: CommitPolicy = field(default_factory=CommitPolicy)
