"""Halts a stage whose records fail for a reason that is not theirs."""

import logging
from collections import deque

from google.rpc.code_pb2 import Code

from forebay_workers.record_loop.clock import Clock
from forebay_workers.record_loop.errors import facts_of
from forebay_workers.record_loop.retry import Backoff
from forebay_workers.record_loop.run import Run
from forebay_workers.record_loop.settings import BreakerPolicy

# What a record can be guilty of itself. An error without any code is a defect that one record
# meets: it may not halt the others.
OWN_FAULTS = frozenset(
    {
        Code.INVALID_ARGUMENT,
        Code.OUT_OF_RANGE,
        Code.DATA_LOSS,
        Code.PERMISSION_DENIED,
        Code.DEADLINE_EXCEEDED,
    }
)

log = logging.getLogger(__name__)


class Breaker:
    """Counts how records end, and lets one at a time try while the stage is halted.

    Each of the last `policy.records` counts; with None as the policy it never halts.
    """

    def __init__(self, policy: BreakerPolicy | None, backoff: Backoff, clock: Clock) -> None:
        self.halted = False
        self._policy = policy
        self._backoff = backoff
        self._clock = clock
        self._failed: deque[bool] = deque(maxlen=policy.records if policy else 0)
        self._halted_at = self._opens = float("-inf")
        self._probe: Run | None = None
        self._probes = 0

    def wait(self) -> float | None:
        """Seconds until a call may start; None while one tries for all."""
        if not self.halted:
            return 0.0
        return None if self._probe is not None else max(0.0, self._opens - self._clock.now())

    def started(self, run: Run) -> None:
        """Note a record that starts; the first one of a halted stage tries for all."""
        if self.halted and self._probe is None:
            self._probe = run

    def left(self, run: Run) -> None:
        """Note that a record does not run any more, however it went."""
        if self._probe is run:
            self._probe = None

    def succeeded(self, *, began: float) -> None:
        """Note a record that was done by a call that began at a time."""
        self._failed.append(False)
        if self.halted and began >= self._halted_at:
            log.info("the stage goes on: a record was done")
            self.halted = False
            self._failed.clear()

    def holds(self, run: Run, error: Exception) -> bool:
        """Note a record that failed; whether it is held back because all of them do."""
        elsewhere = not is_own_fault(error)
        if self._policy is None or (self.halted and not elsewhere):
            return False
        if not self.halted:
            self._failed.append(elsewhere)
            most = self._policy.share * self._policy.records
            full = len(self._failed) == self._policy.records
            if not full or sum(self._failed) <= most or not elsewhere:
                return False
            self.halted = True
            self._halted_at = self._clock.now()
            self._probes = 0
            log.error("the stage halts: most of its records fail", extra=facts_of(error))
        if run is self._probe or self._probes == 0:
            self._probes += 1
            self._opens = self._clock.now() + self._backoff.delay(error, attempt=self._probes)
        return True


def is_own_fault(error: Exception) -> bool:
    """Whether an error is the record's own and says nothing of the others."""
    return getattr(error, "code", None) in (None, *OWN_FAULTS)
