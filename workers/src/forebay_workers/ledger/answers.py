"""What the log says about answers: which have ended, and which were begun."""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from forebay.records.v1 import AnswerRecord
from forebay_kafka.answer_fold import AnswerFold
from forebay_kafka.errors import KafkaError
from forebay_kafka.publisher import Position
from forebay_kafka.records import Received, RecordReader
from forebay_kafka.topics import topic_of
from forebay_workers.ledger.output_tail import LOOK_BACK_SECONDS

TOPIC = topic_of(AnswerRecord).name
HELD_BYTES = 64 * 1024 * 1024  # unread; what a take-over of twelve minutes usually brings is less
_RECORD_BYTES = 250  # what Python adds to a value: a tuple, three numbers, the bytes' own header

log = logging.getLogger(__name__)


@dataclass
class Progress:
    """One query's answer so far; `ended` is set once its terminal event is in the log."""

    fold: AnswerFold = field(default_factory=AnswerFold)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def superseded(self, attempt: str) -> bool:
        """Whether another attempt was opened after this one, which counts no more."""
        return attempt in self.fold.opened and attempt != self.fold.attempt

    async def ends_within(self, seconds: float) -> None:
        """Return once the answer has ended, or after that time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ended.wait()


Headers = tuple[tuple[str, bytes], ...]


@dataclass(slots=True)
class _Known:
    """What is known of a query: its records as they came, until somebody asks for more.

    They are kept as plain tuples, which the garbage collector need not look at again and again.
    """

    touched: float
    headers: Headers = ()
    records: list[tuple[int, int, int, bytes | None, Headers]] = field(default_factory=list)
    held_bytes: int = 0
    progress: Progress | None = None

    def keep(self, received: Received) -> None:
        if self.records and received.offset <= self.records[-1][1]:
            return  # the partition left and came back, and its past is read again
        # The records of an answer carry the same envelope, which is most of what they hold.
        if received.headers != self.headers:
            self.headers = received.headers
            self.held_bytes += sum(len(value) for _, value in self.headers)
        self.held_bytes += len(received.value or b"") + _RECORD_BYTES
        place = (received.partition, received.offset, received.timestamp_ms)
        self.records.append((*place, received.value, self.headers))

    def let_go(self) -> None:
        self.headers, self.held_bytes = (), 0
        self.records.clear()


class AnswerLedger:
    """Folds the answers of the partitions that it is shown, as every reader of them does.

    Nothing is parsed or verified of an answer that nobody asks for: most of what a stage reads
    when it takes partitions over has ended long ago. Over `held_bytes` of such records, the oldest
    are read after all: what they come to is small.
    """

    def __init__(self, records: RecordReader, held_bytes: int = HELD_BYTES) -> None:
        self._records = records
        self._most_bytes = held_bytes
        self._held_bytes = 0
        self._answers: OrderedDict[bytes, _Known] = OrderedDict()
        self._unread: OrderedDict[bytes, _Known] = OrderedDict()
        self._positions: dict[int, int] = {}
        self._waiting: dict[int, list[tuple[int, int, asyncio.Future[None]]]] = {}
        self._turns = count()

    def take(self, received: Received) -> None:
        """Take a record of the answers topic in; what does not verify counts for nobody."""
        if received.key is not None:
            known = self._known(received.key)
            if known.progress is None:
                self._keep(known, received.key, received)
            else:
                self._fold(known.progress, received)
        self._move(received.partition, received.offset + 1)

    def progress(self, name: str) -> Progress:
        """What is known of a query's answer; it goes on changing with the log."""
        key = name.encode()
        known = self._known(key)
        return known.progress or self._read(known, key)

    async def seen(self, position: Position) -> None:
        """Wait until everything up to a written record has come back out of the log.

        Its writer knows then whether it counts, and what others wrote in front of it.
        """
        if self._positions.get(position.partition, 0) > position.offset:
            return
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(position.partition, [])
        heapq.heappush(waiting, (position.offset, next(self._turns), arrived))
        await arrived

    def _keep(self, known: _Known, key: bytes, received: Received) -> None:
        before = known.held_bytes
        known.keep(received)
        self._held_bytes += known.held_bytes - before
        self._unread[key] = known
        while self._held_bytes > self._most_bytes:
            oldest, unread = next(iter(self._unread.items()))
            self._read(unread, oldest)

    def _read(self, known: _Known, key: bytes) -> Progress:
        progress = known.progress = Progress()
        for partition, offset, timestamp_ms, value, headers in known.records:
            place = (TOPIC, partition, offset, timestamp_ms)
            self._fold(progress, Received(*place, key, value, headers))
        self._let_go(known, key)
        return progress

    def _let_go(self, known: _Known, key: bytes) -> None:
        self._unread.pop(key, None)
        self._held_bytes -= known.held_bytes
        known.let_go()

    def _fold(self, progress: Progress, received: Received) -> None:
        if progress.fold.closed:
            return
        try:
            verified = self._records.read(received)
        except KafkaError as error:
            log.warning("answer at %d/%d: %s", received.partition, received.offset, error)
            return
        if isinstance(verified.message, AnswerRecord):
            progress.fold.counts(verified.message.event)
            if progress.fold.closed:
                progress.ended.set()

    def _move(self, partition: int, position: int) -> None:
        self._positions[partition] = position
        waiting = self._waiting.get(partition)
        while waiting and waiting[0][0] < position:
            _, _, arrived = heapq.heappop(waiting)
            if not arrived.done():
                arrived.set_result(None)

    def _known(self, key: bytes) -> _Known:
        now = time.monotonic()
        known = self._answers.get(key)
        if known is None:
            known = self._answers[key] = _Known(now)
        known.touched = now
        self._answers.move_to_end(key)
        self._forget_old(now - LOOK_BACK_SECONDS)
        return known

    def _forget_old(self, horizon: float) -> None:
        while next(iter(self._answers.values())).touched < horizon:
            key, known = self._answers.popitem(last=False)
            self._let_go(known, key)
