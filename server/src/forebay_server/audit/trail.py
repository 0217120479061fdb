"""The way of audit records into the log: never in the way of a call."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Self

from prometheus_client import CollectorRegistry, Counter

from forebay.records.v1 import AuditRecord
from forebay_kafka.envelope import EnvelopeSigner, Statement
from forebay_kafka.errors import NobodyVouches
from forebay_kafka.identity import Identity
from forebay_kafka.publisher import Position, Publisher
from forebay_kafka.records import record_type
from forebay_kafka.topics import topic_of
from forebay_server.audit.floods import WINDOW_SECONDS, Floods

MAX_HELD_BYTES = 8 * 1024 * 1024  # 10,000 records and more wait for a log that is away
RECORD_OVERHEAD = 512  # envelope and bookkeeping
SEALED_AT_ONCE = 16  # sealing one takes 0.1 ms; more in a row delays running calls
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 10.0  # after records that were not taken
CLOSE_SECONDS = 3.0  # what is not in the log by then is lost with the process

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Entry:
    record: AuditRecord
    value: bytes
    who: Identity
    trace_parent: bytes | None

    @property
    def size(self) -> int:
        return len(self.value) + RECORD_OVERHEAD


class AuditMeter:
    """Counts what became of audit records."""

    def __init__(self, registry: CollectorRegistry) -> None:
        records = Counter(
            "forebay_edge_audit_records",
            "Calls that the audit was told of: written alone, in a sum of refusals, or not at all.",
            ("outcome",),
            registry=registry,
        )
        self.written = records.labels("written")
        self.summed = records.labels("summed")
        self.dropped = records.labels("dropped")


class AuditTrail:
    """Seals records and publishes them; what the log does not take is tried again while it fits.

    Beyond the bound the newest records are dropped, which the meter counts and the log of the
    program says. `async with AuditTrail(…) as trail`.
    """

    def __init__(self, publisher: Publisher, signer: EnvelopeSigner, meter: AuditMeter) -> None:
        self._publisher = publisher
        self._signer = signer
        self._meter = meter
        self._floods = Floods()
        self._waiting: deque[_Entry] = deque()
        self._held_bytes = 0  # of what waits, and of what the log has not acknowledged
        self._under_way: set[asyncio.Future[Position]] = set()
        self._some = asyncio.Event()
        self._refused = False  # since the last pause
        self._pause = FIRST_PAUSE_SECONDS
        self._dropped = 0
        self._closing = False

    async def __aenter__(self) -> Self:
        """Start to write."""
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._turn_windows())]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what waits, as far as the log takes it at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._closing = True
        self._turn_window()
        while self._waiting:
            self._send(self._waiting.popleft())
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=CLOSE_SECONDS)
            for writing in self._under_way:
                writing.cancel()
            await asyncio.sleep(0)  # for their callbacks
        self._report()

    def write(self, record: AuditRecord, who: Identity, trace_parent: bytes | None) -> None:
        """Take a record; never waits and never fails."""
        # A stream that ends in a refusal may have shown something: no number tells which passages.
        refused = record.outcome != AuditRecord.OUTCOME_ALLOWED and not record.HasField("delivery")
        if refused and not self._floods.is_single(who):
            if self._floods.count(record, who):
                self._meter.summed.inc()
            else:
                self._drop(1)
            return
        self._hold(_Entry(record, record.SerializeToString(), who, trace_parent))

    def _hold(self, entry: _Entry) -> None:
        if self._held_bytes + entry.size > MAX_HELD_BYTES:
            self._drop(entry.record.count)
            return
        self._held_bytes += entry.size
        self._waiting.append(entry)
        self._some.set()

    async def _run(self) -> None:
        while await self._some.wait():
            await self._rest()
            for _ in range(min(SEALED_AT_ONCE, len(self._waiting))):
                self._send(self._waiting.popleft())
            if not self._waiting:
                self._some.clear()

    async def _rest(self) -> None:
        """Let others run; for longer and longer while the log takes nothing."""
        if not self._refused:
            await asyncio.sleep(0)
            return
        await asyncio.sleep(self._pause)
        self._refused = False
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def _send(self, entry: _Entry) -> None:
        try:
            writing = self._publish(entry)
        except NobodyVouches:
            self._put_back(entry)
            return
        except Exception as error:  # noqa: BLE001 behind one defective record wait all others
            # Its text could quote the record.
            log.error("an audit record is defective: %s", type(error).__name__)  # noqa: TRY400
            self._held_bytes -= entry.size
            self._drop(entry.record.count)
            return
        self._under_way.add(writing)
        writing.add_done_callback(partial(self._landed, entry))

    def _publish(self, entry: _Entry) -> asyncio.Future[Position]:
        name, kind = entry.record.name, record_type(AuditRecord)
        return self._publisher.publish_value(
            topic_of(AuditRecord),
            entry.value,
            key=name,
            identity_token=self._signer.seal(entry.who, kind, entry.value, Statement(name)),
            trace_parent=entry.trace_parent,
        )

    def _landed(self, entry: _Entry, writing: asyncio.Future[Position]) -> None:
        self._under_way.discard(writing)
        if writing.cancelled() or writing.exception() is not None:
            self._put_back(entry)
            return
        self._held_bytes -= entry.size
        self._pause = FIRST_PAUSE_SECONDS
        self._meter.written.inc()

    def _put_back(self, entry: _Entry) -> None:
        """Try it again later; when this ends there is no later."""
        if self._closing:
            self._held_bytes -= entry.size
            self._drop(entry.record.count)
            return
        self._refused = True
        self._waiting.append(entry)
        self._some.set()

    async def _turn_windows(self) -> None:
        while True:
            await asyncio.sleep(WINDOW_SECONDS)
            self._turn_window()
            self._report()

    def _turn_window(self) -> None:
        for record, who in self._floods.turn():
            self._hold(_Entry(record, record.SerializeToString(), who, None))

    def _drop(self, calls: int) -> None:
        self._dropped += calls
        self._meter.dropped.inc(calls)

    def _report(self) -> None:
        if self._dropped:
            log.error("calls are missing in the audit", extra={"calls": self._dropped})
            self._dropped = 0
