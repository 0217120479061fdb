"""What the log says about answers: which have ended, and which were begun."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from forebay.records.v1 import AnswerRecord
from forebay_kafka.answer_fold import AnswerFold
from forebay_kafka.errors import KafkaError
from forebay_kafka.records import Received, RecordReader
from forebay_workers.ledger.output_tail import LOOK_BACK_SECONDS

log = logging.getLogger(__name__)


@dataclass
class Progress:
    """One query's answer so far.

    `ended` is set once its terminal event is in the log. Whoever wrote it sets it too: the log
    tells so only a moment later, and until then nothing may begin the answer again.
    """

    touched: float
    fold: AnswerFold = field(default_factory=AnswerFold)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class AnswerLedger:
    """Folds the answers of the partitions that it is shown, as every reader of them does."""

    def __init__(self, records: RecordReader) -> None:
        self._records = records
        self._answers: OrderedDict[str, Progress] = OrderedDict()

    def take(self, received: Received) -> None:
        """Take a record of the answers topic in; what does not verify counts for nobody."""
        try:
            verified = self._records.read(received)
        except KafkaError as error:
            log.warning("answer at %d/%d: %s", received.partition, received.offset, error)
            return
        if isinstance(verified.message, AnswerRecord):
            event = verified.message.event
            progress = self.progress(event.query)
            progress.fold.counts(event)
            if progress.fold.closed:
                progress.ended.set()

    def progress(self, name: str) -> Progress:
        """What is known of a query's answer."""
        progress = self._answers.get(name)
        if progress is None:
            progress = self._answers[name] = Progress(time.monotonic())
        progress.touched = time.monotonic()
        self._answers.move_to_end(name)
        self._forget_old()
        return progress

    def _forget_old(self) -> None:
        horizon = time.monotonic() - LOOK_BACK_SECONDS
        while self._answers:
            name, oldest = next(iter(self._answers.items()))
            if oldest.touched > horizon:
                return
            del self._answers[name]
