"""What the edge keeps in memory of a dead letter: everything but its content."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.status_pb2 import Status

from forebay.pipeline.v1 import DeadLetter as ShownLetter
from forebay.pipeline.v1 import DeadLetterFilter
from forebay.records.v1 import DeadLetter, Stage
from forebay_kafka.failure import error_info, reason_word
from forebay_kafka.partitioning import source_key
from forebay_kafka.records import Received
from forebay_kafka.stages import stage_word

PREFIX = "deadLetters/"
SCANNED_AT_ONCE = 2_000  # a millisecond or two of the event loop's time
LAST_MS = 253_402_300_800_000  # the year 10000, up to which a Timestamp goes
ID = re.compile(r"[A-Za-z0-9._~-]{1,400}", re.ASCII)  # as the contract's requests have it


class LetterPlace(NamedTuple):
    """When a letter was given up, and where it stands in the log: the order of letters."""

    give_up_ms: int
    partition: int
    offset: int


@dataclass(frozen=True)
class Letter:
    """A dead letter without its content; `has_content` says whether the log has it."""

    key: str
    place: LetterPlace
    stage: Stage.ValueType
    group: str
    topic: str
    partition: int
    offset: int
    tenant: str
    resource: str
    reason: str
    error: bytes
    attempts: int
    size_bytes: int
    has_content: bool

    @property
    def name(self) -> str:
        """`deadLetters/{group}~{topic}~{partition}~{offset}`."""
        return PREFIX + self.key.replace("/", "~")

    def shown(self) -> ShownLetter:
        """The letter as operators see it, without content."""
        letter = ShownLetter(
            name=self.name,
            stage=stage_word(self.stage),
            topic=self.topic,
            partition=self.partition,
            offset=self.offset,
            tenant=self.tenant,
            resource=self.resource,
            error=Status.FromString(self.error),
            attempts=self.attempts,
            size_bytes=self.size_bytes,
        )
        letter.give_up_time.FromMilliseconds(self.place.give_up_ms)
        return letter


class LetterInvalid(ValueError):
    """A record of the topic of dead letters is none."""


def letter_of(received: Received) -> Letter:
    """What is kept of a record; LetterInvalid for one that is no dead letter."""
    try:
        record = DeadLetter.FromString(received.value or b"")
    except DecodeError as error:
        raise LetterInvalid("the value cannot be parsed") from error
    key = source_key(record.group, record.topic, record.partition, record.offset)
    if key.encode() != received.key or not ID.fullmatch(key.replace("/", "~")):
        raise LetterInvalid("the key is of another letter")
    if record.stage not in Stage.values():
        raise LetterInvalid("the stage is unknown")
    return Letter(
        key=key,
        place=LetterPlace(_give_up_ms(record, received), received.partition, received.offset),
        stage=record.stage,
        # Interned: thousands of letters share a few of these.
        group=sys.intern(record.group),
        topic=sys.intern(record.topic),
        partition=record.partition,
        offset=record.offset,
        tenant=sys.intern(record.tenant),
        resource=record.resource,
        reason=sys.intern(error_info(record.error).reason),
        error=record.error.SerializeToString(),
        attempts=record.attempts,
        size_bytes=len(record.value),
        has_content=record.HasField("value"),
    )


def milliseconds(time: Timestamp) -> int:
    """A time of the log, in milliseconds since 1970; protobuf's own refuses some that it holds."""
    return time.seconds * 1000 + time.nanos // 1_000_000


def _give_up_ms(record: DeadLetter, received: Received) -> int:
    said = milliseconds(record.give_up_time)
    return said if 0 < said < LAST_MS else received.timestamp_ms


class LetterFilter:
    """Which letters are meant: those that fit everything that is set."""

    def __init__(self, wanted: DeadLetterFilter) -> None:
        self._stage = wanted.stage
        self._tenant = wanted.tenant
        self._reason = reason_word(wanted.reason) if wanted.reason else ""
        # Letters are dated in milliseconds.
        self._start = _ceiling_ms(wanted.start_time) if wanted.HasField("start_time") else None
        self._end = _ceiling_ms(wanted.end_time) if wanted.HasField("end_time") else None

    def fits(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        time = letter.place.give_up_ms
        return (
            (not self._stage or stage_word(letter.stage) == self._stage)
            and (not self._reason or letter.reason == self._reason)
            and (not self._tenant or letter.tenant == self._tenant)
            and (self._start is None or time >= self._start)
            and (self._end is None or time < self._end)
        )


def _ceiling_ms(time: Timestamp) -> int:
    return -(-time.ToNanoseconds() // 1_000_000)


async def first_fitting(
    most: int, letters: Iterable[Letter], fits: Callable[[Letter], bool]
) -> list[Letter]:
    """The first letters that fit, `most` of them; lets the event loop run meanwhile."""
    found: list[Letter] = []
    for scanned, letter in enumerate(letters, start=1):
        if fits(letter):
            found.append(letter)
            if len(found) == most:
                break
        if scanned % SCANNED_AT_ONCE == 0:
            await asyncio.sleep(0)
    return found
