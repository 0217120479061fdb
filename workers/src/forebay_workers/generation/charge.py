"""What an answer cost, written where its tenant is charged for it."""

from __future__ import annotations

import asyncio
import time

from forebay.query.v1 import Usage
from forebay.records.v1 import ContextRecord, UsageRecord
from forebay_kafka.publisher import Position, Publisher
from forebay_workers.record_loop.stage import Work


def charge(
    publisher: Publisher, work: Work[ContextRecord], attempt: str, usage: Usage
) -> asyncio.Future[Position]:
    """Write the cost of one model call, under the attempt that it was made for.

    The future raises LogUnavailable.
    """
    record = UsageRecord(name=work.message.name, attempt=attempt, usage=usage)
    record.time.FromNanoseconds(time.time_ns())
    return publisher.publish(
        record,
        key=work.envelope.identity.tenant,
        identity_token=work.identity_token,
        trace_parent=work.trace_parent,
    )
