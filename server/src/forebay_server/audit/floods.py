"""Floods of refused calls, told by numbers: what strangers cause must stay small."""

from __future__ import annotations

from collections import Counter
from uuid import uuid4

from forebay.records.v1 import AuditRecord
from forebay_kafka.identity import Identity

WINDOW_SECONDS = 10.0
# Of one caller in a window, each with a record of its own; all who prove nothing are one caller.
# A record takes 2 KiB in log and file, so that a flood costs 20 KiB a second however large it is.
SINGLE_REFUSALS = 100
MAX_CALLERS = 10_000  # 2 MiB; those that come later in the window are counted from the first call
MAX_KINDS = 1_000  # records of one window; strangers make 20 methods times 4 reasons at most

Sum = tuple[AuditRecord, Identity]


class Floods:
    """Counts the refusals of a window by caller and by what became of them."""

    def __init__(self) -> None:
        self._single: Counter[Identity] = Counter()
        self._sums: dict[tuple[Identity, bytes], AuditRecord] = {}

    def is_single(self, who: Identity) -> bool:
        """Whether a caller's next refusal still gets a record of its own."""
        if who not in self._single and len(self._single) >= MAX_CALLERS:
            return False
        self._single[who] += 1
        return self._single[who] <= SINGLE_REFUSALS

    def count(self, record: AuditRecord, who: Identity) -> bool:
        """Count a refusal instead of writing it; False where there are too many kinds."""
        kind = AuditRecord(
            method=record.method,
            transport=record.transport,
            outcome=record.outcome,
            code=record.code,
            reason=record.reason,
        )
        key = who, kind.SerializeToString(deterministic=True)
        known = self._sums.get(key)
        if known is None and len(self._sums) >= MAX_KINDS:
            return False
        if known is None:
            known = self._sums[key] = kind
            known.name = f"audit-records/{uuid4().hex}"
        known.time.CopyFrom(record.time)
        known.count += 1
        return True

    def turn(self) -> list[Sum]:
        """Begin a new window; what was counted in the old one, each dated by its last call."""
        sums = [(record, who) for (who, _), record in self._sums.items()]
        self._single, self._sums = Counter(), {}
        return sums
