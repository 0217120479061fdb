"""One attempt at an answer, written to the log event by event."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import uuid4

from google.rpc.status_pb2 import Status

from forebay.query.v1 import AnswerEvent
from forebay.records.v1 import AnswerRecord
from forebay_kafka.publisher import Position, Publisher
from forebay_workers.record_loop.stage import Work


class AnswerWriter:
    """Numbers the events of one attempt and knows when all of them are acknowledged."""

    def __init__(self, publisher: Publisher, work: Work[Any], name: str) -> None:
        self._publisher = publisher
        self._work = work
        self._name = name
        self._attempt = uuid4().hex
        self._sequence = 0
        self._on_their_way: set[asyncio.Future[Position]] = set()
        self._failure: BaseException | None = None

    def open(self, reason: str) -> None:
        """Begin the attempt; readers see it only when there was one before."""
        self.write(restarted=AnswerEvent.Restarted(reason=reason))

    def write(self, **event: Any) -> None:  # noqa: ANN401 one field of AnswerEvent's oneof
        """Write the next event, without waiting for its acknowledgement."""
        self._sequence += 1
        record = answer_record(self._name, attempt=self._attempt, sequence=self._sequence, **event)
        writing = publish(self._publisher, self._work, record)
        self._on_their_way.add(writing)
        writing.add_done_callback(self._landed)

    def require_whole(self) -> None:
        """Raise LogUnavailable where an event was not acknowledged.

        The attempt has a gap then, and nothing behind it counts.
        """
        if self._failure is not None:
            raise self._failure

    async def acknowledged(self) -> None:
        """Wait until the log has everything written so far. Raises LogUnavailable."""
        if self._on_their_way:
            await asyncio.wait(self._on_their_way)
        self.require_whole()

    async def complete(
        self, answer: str, finish_reason: AnswerEvent.Completed.FinishReason.ValueType
    ) -> None:
        """End the answer, once all that it rests on is acknowledged. Raises LogUnavailable."""
        await self.acknowledged()
        self.write(completed=AnswerEvent.Completed(answer=answer, finish_reason=finish_reason))
        await self.acknowledged()

    def _landed(self, writing: asyncio.Future[Position]) -> None:
        self._on_their_way.discard(writing)
        if not writing.cancelled() and self._failure is None:
            self._failure = writing.exception()


async def fail(publisher: Publisher, work: Work[Any], name: str, error: Status) -> None:
    """End a query without an answer, whatever attempt is under way. Raises LogUnavailable."""
    await publish(publisher, work, answer_record(name, failed=AnswerEvent.Failed(error=error)))


def publish(
    publisher: Publisher, work: Work[Any], record: AnswerRecord
) -> asyncio.Future[Position]:
    """Write a record on behalf of the query's asker. The future raises LogUnavailable."""
    return publisher.publish(
        record,
        key=record.event.query,
        identity_token=work.identity_token,
        trace_parent=work.trace_parent,
    )


def answer_record(
    name: str,
    *,
    attempt: str = "",
    sequence: int = 0,
    **event: Any,  # noqa: ANN401 one field of AnswerEvent's oneof
) -> AnswerRecord:
    """A record of one event that happens now."""
    record = AnswerRecord(
        event=AnswerEvent(query=name, attempt=attempt, sequence=sequence, **event)
    )
    record.event.time.FromNanoseconds(time.time_ns())
    return record
