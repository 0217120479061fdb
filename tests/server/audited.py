"""What an edge wrote about calls, read and verified as a stage would."""

import asyncio
from dataclasses import dataclass

from forebay.errors.v1 import ErrorReason
from forebay.records.v1 import AuditRecord
from forebay_kafka.envelope_files import VerificationKeyFile
from forebay_kafka.identity import Identity
from forebay_kafka.records import Received, RecordReader

from .conftest import Installation
from .log import LogReader

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE_PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@dataclass(frozen=True)
class Told:
    """One audit record, and who its envelope says has called."""

    record: AuditRecord
    who: Identity
    source: Received

    @property
    def exit(self) -> tuple[str, str, str]:
        """Method, outcome and reason as words."""
        outcome = AuditRecord.Outcome.Name(self.record.outcome).removeprefix("OUTCOME_")
        reason = ErrorReason.Name(self.record.reason).removeprefix("ERROR_REASON_")
        return self.record.method.rpartition("/")[2], outcome, reason


class AuditReader:
    """Reads the audit records that came after a test began."""

    def __init__(self, log: LogReader, installation: Installation) -> None:
        self._log = log
        verifier = VerificationKeyFile(installation.settings.envelope_jwks_file).verifier
        self._reader = RecordReader(verifier)

    async def told(self, count: int) -> list[Told]:
        """All of them, once there are that many, in the order in which the calls ended."""
        await asyncio.to_thread(self._log.wait, AuditRecord, count)
        return await self.told_now()

    async def told_now(self) -> list[Told]:
        records = await asyncio.to_thread(self._log.read, AuditRecord)
        told = [self._told(each) for each in records]
        return sorted(told, key=lambda each: each.record.time.ToNanoseconds())

    def _told(self, source: Received) -> Told:
        verified = self._reader.read(source)
        assert isinstance(verified.message, AuditRecord)
        return Told(verified.message, verified.envelope.identity, source)
