"""A log of answers in memory: what is written comes back to the ledger, as by a tail."""

import asyncio
from collections.abc import Callable
from typing import cast

from google.protobuf.message import Message

from forebay.query.v1 import AnswerEvent
from forebay.records.v1 import AnswerRecord, UsageRecord
from forebay_kafka.envelope import Envelope
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.publisher import Position
from forebay_kafka.records import Received, RecordReader, Verified
from forebay_kafka.topics import topic_of
from forebay_workers.ledger.answers import AnswerLedger

TOPIC = topic_of(AnswerRecord).name


class BelievingReader:
    """A RecordReader that believes everything."""

    def read(self, received: Received) -> Verified[Message]:
        message = AnswerRecord.FromString(received.value or b"")
        return Verified(message, cast("Envelope", None), b"token", None, received)


class AnswerLog:
    """A Publisher and the ledger of its reader; `fails` says which records are not acknowledged.

    `written` holds everything: a kind of event, or the type of another record.
    """

    def __init__(self, fails: Callable[[str], bool] = lambda _: False) -> None:
        self.ledger = AnswerLedger(cast("RecordReader", BelievingReader()))
        self.events: list[AnswerEvent] = []
        self.written: list[str] = []
        self.charged: list[UsageRecord] = []
        self.fails = fails
        self.offset = 0
        self._coming: list[Received] = []

    def publish(self, message: Message, **_: object) -> asyncio.Future[Position]:
        landed: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        kind = type(message).__name__
        if isinstance(message, AnswerRecord):
            kind = str(message.event.WhichOneof("event"))
        if self.fails(kind):
            landed.set_exception(LogUnavailable("down"))
            return landed
        self.written.append(kind)
        if isinstance(message, UsageRecord):
            self.charged.append(message)
        if isinstance(message, AnswerRecord):
            landed.set_result(self.append(message.event))
        else:
            landed.set_result(Position("other", 0, 0, 0))
        return landed

    def append(self, event: AnswerEvent, *, unseen: bool = False) -> Position:
        """What anybody writes; what is unseen comes to the ledger with the next record only."""
        self.events.append(event)
        position = Position(TOPIC, 0, self.offset, 0)
        self.offset += 1
        value = AnswerRecord(event=event).SerializeToString()
        received = Received(TOPIC, 0, position.offset, 0, event.query.encode(), value, ())
        self._coming.append(received)
        if not unseen:
            # Later: nobody reads a record before its writer goes on.
            asyncio.get_running_loop().call_soon(self._arrive)
        return position

    def _arrive(self) -> None:
        coming, self._coming = self._coming, []
        for received in coming:
            self.ledger.take(received)
