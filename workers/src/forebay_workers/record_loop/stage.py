"""What a stage is to the record loop, and what the loop hands to it."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, Protocol, Self, TypeVar, runtime_checkable

from google.protobuf.message import Message

from forebay_kafka.envelope import Envelope
from forebay_kafka.records import Received, Verified

M_contra = TypeVar("M_contra", bound=Message, contravariant=True)
M_co = TypeVar("M_co", bound=Message, covariant=True)


class Retry(Enum):
    """What an error says about trying the same record again: its attribute `retry`.

    An error without it counts as BRIEFLY with few attempts (`RetryPolicy.unknown_attempts`).
    An attribute `retry_after`, in seconds, is honoured as the shortest wait; an attribute
    `patience`, in seconds, takes the place of `RetryPolicy.budget`.
    """

    NEVER = auto()
    """The record is poison: given up and dead-lettered at once."""
    BRIEFLY = auto()
    """It may pass: tried again with backoff and jitter for `RetryPolicy.budget` seconds, then put
    off to the group's retry topic once for each of `RetryPolicy.rounds`."""
    UNTIL_BACK = auto()
    """Something that the whole stage needs is down: tried again for as long as it takes."""
    THROTTLED = auto()
    """A service asks for fewer calls: the whole stage slows down, and tries for as long as it
    takes."""


@dataclass(frozen=True, slots=True)
class Work(Generic[M_co]):
    """One attempt at one verified record.

    `attempt` counts from 1 within this process, and on where a record was put off. `deadline` is
    event-loop time (`asyncio.timeout_at`); the loop cancels `process` at it and gives up.
    """

    message: M_co
    envelope: Envelope
    identity_token: bytes
    trace_parent: bytes | None
    source: Received
    attempt: int
    deadline: float | None

    @classmethod
    def of(cls, record: Verified[M_co], *, attempt: int, deadline: float | None) -> Self:
        """Make an attempt of a verified record."""
        return cls(
            message=record.message,
            envelope=record.envelope,
            identity_token=record.identity_token,
            trace_parent=record.trace_parent,
            source=record.source,
            attempt=attempt,
            deadline=deadline,
        )


class Stage(Protocol[M_contra]):
    """A step of the pipeline: from one verified record to acknowledged outputs.

    Records arrive at least once: a crash, a lost partition or a cancelled `process` brings the
    same record again, so everything here has to bear a repetition. Records of one resource (a
    query; all versions of a document) run one at a time, in the order of the log.
    """

    @property
    def stage(self) -> int:
        """The value of forebay.records.v1.Stage; the consumer group is named after it."""

    @property
    def reads(self) -> tuple[type[Message], ...]:
        """The records whose topics are read; each has one topic."""

    async def process(self, work: Work[M_contra]) -> None:
        """Do the work; return once everything it published is acknowledged.

        An error decides by its attribute `retry`. Cancellation (a deadline, a timeout, a partition
        that leaves, the end of a drain) must be passed on at once: a call that goes on is stuck,
        and ends the process in the end.
        """

    async def give_up(self, work: Work[M_contra], error: Exception) -> None:
        """Tell the record's owner that its work failed, before the dead letter is written.

        `error` is the last one of `process`, or `DeadlinePassed`. An error raised here is
        retried without limit where it declares UNTIL_BACK or THROTTLED, for
        `RetryPolicy.owner_budget` seconds where it declares BRIEFLY, and otherwise
        `RetryPolicy.unknown_attempts` times: neither a defect here nor what one owner meets may
        stop a partition. All but BRIEFLY halt the stage meanwhile.
        """

    async def take_over(self, partitions: frozenset[int]) -> None:
        """Prepare for partitions of what it reads, before their first record.

        Tried again until it succeeds.

        May be cancelled when they leave meanwhile, and called again for those that stay.
        """

    async def release(self, partitions: frozenset[int]) -> None:
        """Let go of partitions: none of their records runs any more."""


@runtime_checkable
class EndsKeys(Protocol):
    """A stage whose outputs end with the keys of a compacted input: tombstones reach it."""

    async def end(self, key: str) -> None:
        """End what the key led to; retried as `process` is, and as repeatable."""
