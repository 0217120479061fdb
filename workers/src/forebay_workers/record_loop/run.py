"""A record on its way through the loop."""

import asyncio
from dataclasses import dataclass

from google.protobuf.message import Message

from forebay_kafka.records import Received, Verified
from forebay_workers.record_loop.clock import Clock
from forebay_workers.record_loop.partition import HeldPartition


class Leaving(Exception):
    """The record's partition leaves, and the record does not run just now."""


class PutBack(Exception):
    """The stage slows down or halts: the record waits for its turn at the head of its lane."""


@dataclass(eq=False)
class Run:
    """A record that was taken from the log, and what became of it up to now.

    `taken` is the record whose offset counts. `source` is what the stage sees of it: another one
    where `taken` is a retry. Records of one `lane` run one after another, and those of one `turn`
    share what is theirs of a stage's slots. `record` is None until it was verified; then it stays
    None where the record is poison and `error` says why, or where it is a tombstone and `ended` is
    its key.
    """

    held: HeldPartition
    taken: Received
    source: Received
    lane: str = ""
    turn: str = ""
    record: Verified[Message] | None = None
    error: Exception | None = None
    ended: str | None = None
    deadline: float | None = None
    attempt: int = 0  # over all rounds
    round: int = 0
    tries: int = 0  # since it was taken, or put back
    call_ends: float | None = None  # event-loop time at which its call was told to end
    task: asyncio.Task[None] | None = None
    resting: bool = False

    def leave(self) -> None:
        """End it if it only waits; a running attempt goes on."""
        if self.resting and self.task is not None:
            self.task.cancel()

    async def rest(self, clock: Clock, seconds: float) -> None:
        """Wait between two attempts; Leaving when there is to be no other."""
        if self.held.leaving:
            raise Leaving
        self.resting = True
        try:
            await clock.sleep(seconds)
        finally:
            self.resting = False
