"""Names of queries that a topic already holds a record of."""

from __future__ import annotations

import time
from collections import OrderedDict

from forebay_kafka.records import Received
from forebay_workers.ledger.output_tail import LOOK_BACK_SECONDS


class SeenNames:
    """Remembers names for as long as their queries may be alive."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, float] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._seen

    def take(self, received: Received) -> None:
        """Take a record in by its key, which is the query's name."""
        if received.key is not None:
            self.add(received.key.decode(errors="replace"))

    def add(self, name: str) -> None:
        """Remember a name."""
        now = time.monotonic()
        self._seen[name] = now
        self._seen.move_to_end(name)
        while next(iter(self._seen.values())) < now - LOOK_BACK_SECONDS:
            self._seen.popitem(last=False)
