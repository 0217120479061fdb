"""Attempts at an answer, written to the log event by event, and the ends of queries."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import uuid4

from google.rpc.status_pb2 import Status

from forebay.query.v1 import AnswerEvent
from forebay.records.v1 import AnswerRecord
from forebay_kafka.publisher import Position, Publisher
from forebay_workers.ledger.answers import AnswerLedger
from forebay_workers.record_loop.stage import Work

# How long a writer waits before it takes an answer back that somebody else has begun anew. One of
# the two was taken for dead: if it is this process, its group tells it so meanwhile, which takes
# a heartbeat, and all its work is cancelled.
YIELD_SECONDS = 2.0


class EndNotShown(Exception):
    """A terminal event came back from the log and ended nothing, though nobody was in its way.

    Its envelope does not verify here any more, or it came too late for what is remembered.
    """

    def __init__(self) -> None:
        super().__init__("the end of an answer ends nothing")


class AnswerWriter:
    """Numbers the events of one attempt and knows when all of them are acknowledged."""

    def __init__(self, publisher: Publisher, work: Work[Any], name: str) -> None:
        self.attempt = uuid4().hex
        self._publisher = publisher
        self._work = work
        self._name = name
        self._sequence = 0
        self._on_their_way: set[asyncio.Future[Position]] = set()
        self._newest: Position | None = None
        self._failure: BaseException | None = None

    def open(self, reason: str) -> None:
        """Begin the attempt; readers see it only when there was one before."""
        self.write(restarted=AnswerEvent.Restarted(reason=reason))

    def write(self, **event: Any) -> None:  # noqa: ANN401 one field of AnswerEvent's oneof
        """Write the next event, without waiting for its acknowledgement."""
        self._sequence += 1
        record = answer_record(self._name, attempt=self.attempt, sequence=self._sequence, **event)
        writing = publish(self._publisher, self._work, record)
        self._on_their_way.add(writing)
        writing.add_done_callback(self._landed)

    @property
    def whole(self) -> bool:
        """Whether no event was refused so far; behind a gap nothing counts."""
        return self._failure is None

    def require_whole(self) -> None:
        """Raise LogUnavailable where an event was not acknowledged."""
        if self._failure is not None:
            raise self._failure

    async def acknowledged(self) -> Position:
        """Wait until the log has everything written so far; where the last of it stands.

        Raises LogUnavailable.
        """
        if self._on_their_way:
            await asyncio.wait(self._on_their_way)
        self.require_whole()
        if self._newest is None:
            raise AssertionError  # an attempt begins with its opening
        return self._newest

    async def end(self, **event: Any) -> Position:  # noqa: ANN401 one field of the oneof
        """Write a terminal event, once all that it rests on is acknowledged.

        Raises LogUnavailable.
        """
        await self.acknowledged()
        self.write(**event)
        return await self.acknowledged()

    def _landed(self, writing: asyncio.Future[Position]) -> None:
        self._on_their_way.discard(writing)
        if writing.cancelled():
            return
        error = writing.exception()
        if error is None:
            self._newest = writing.result()
        elif self._failure is None:
            self._failure = error


class AnswerFailure:
    """Ends queries without an answer, in a way that ends nobody else's attempt.

    A failure belongs to an attempt where the log has any: to the writer's own as long as that has
    no gap, otherwise to one that is opened for it.
    """

    def __init__(self, publisher: Publisher, answers: AnswerLedger) -> None:
        self._publisher = publisher
        self._answers = answers

    async def write(
        self, work: Work[Any], name: str, error: Status, own: AnswerWriter | None = None
    ) -> None:
        """Return once the log says that the query has ended, so or otherwise.

        Raises LogUnavailable.
        """
        progress = self._answers.progress(name)
        failed = AnswerEvent.Failed(error=error)
        while not progress.ended.is_set():
            if progress.fold.attempt not in ("", own.attempt if own else ""):
                await progress.ends_within(YIELD_SECONDS)
            if own is not None and (progress.superseded(own.attempt) or not own.whole):
                own = None
            if not progress.ended.is_set():
                writing = self._write(work, name, failed, own, begun=bool(progress.fold.opened))
                await self._answers.seen(await writing)
                if not progress.ended.is_set() and not progress.fold.opened:
                    raise EndNotShown

    async def _write(
        self,
        work: Work[Any],
        name: str,
        failed: AnswerEvent.Failed,
        own: AnswerWriter | None,
        *,
        begun: bool,
    ) -> Position:
        if own is None and not begun:
            return await publish(self._publisher, work, answer_record(name, failed=failed))
        if own is None:
            own = AnswerWriter(self._publisher, work, name)
            own.open("there will be no answer")
        return await own.end(failed=failed)


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
