"""Names of queries that a topic already holds a record of."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from google.protobuf.message import DecodeError

from forebay.records.v1 import ContextRecord
from forebay_kafka.errors import KafkaError
from forebay_kafka.records import Received, RecordReader
from forebay_workers.ledger.output_tail import LOOK_BACK_SECONDS


@dataclass(slots=True)
class _Seen:
    touched: float
    certain: bool = False
    unproven: list[Received] = field(default_factory=list)


class SeenNames:
    """Remembers whose contexts the log has, for as long as their queries may be alive.

    A record counts once it is proven, which is done when somebody asks for its query: a key that
    nobody vouches for would keep a question from being answered.
    """

    def __init__(self, records: RecordReader) -> None:
        self._records = records
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        seen = self._seen.get(name)
        if seen is None:
            return False
        seen.certain = seen.certain or any(self._is_proven(each) for each in seen.unproven)
        seen.unproven.clear()
        return seen.certain

    def take(self, received: Received) -> None:
        """Take a context in."""
        if received.key is None or (bare := _without_passages(received)) is None:
            return
        seen = self._touched(received.key.decode(errors="replace"))
        if not seen.certain:
            seen.unproven.append(bare)

    def add(self, name: str) -> None:
        """Remember a name whose context was just written here."""
        self._touched(name).certain = True

    def _touched(self, name: str) -> _Seen:
        now = time.monotonic()
        seen = self._seen.setdefault(name, _Seen(now))
        seen.touched = now
        self._seen.move_to_end(name)
        while next(iter(self._seen.values())).touched < now - LOOK_BACK_SECONDS:
            self._seen.popitem(last=False)
        return seen

    def _is_proven(self, received: Received) -> bool:
        try:
            self._records.read(received)
        except KafkaError:
            return False
        return True


def _without_passages(received: Received) -> Received | None:
    """The record with what its proof needs alone: thousands are remembered."""
    try:
        name = ContextRecord.FromString(received.value or b"").name
    except DecodeError:
        return None
    return replace(received, value=ContextRecord(name=name).SerializeToString())
