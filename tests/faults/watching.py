"""Readers that follow an answer throughout, and what they must have seen."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc
import grpc.aio

from forebay.query.v1 import AnswerEvent, QueryServiceStub, StreamAnswerRequest
from forebay_kafka.answer_fold import OPENING, TERMINAL

AGAIN_SECONDS = 0.05
LOST = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)


@dataclass
class Watcher:
    """Follows one query on the wire, resuming at its last cursor; it believes every event.

    A client's own care would hide what a server repeats.
    """

    address: str
    token: str
    query: str
    events: list[AnswerEvent] = field(default_factory=list)
    streams: int = 0

    async def follow(self) -> None:
        """Return behind the terminal event."""
        metadata = (("authorization", f"Bearer {self.token}"),)
        async with grpc.aio.insecure_channel(self.address, options=BACKOFF) as channel:
            follow: Follow = QueryServiceStub(channel).StreamAnswer
            while not self._ended:
                try:
                    await self._read(follow, metadata)
                except grpc.aio.AioRpcError as error:
                    if error.code() not in LOST:
                        raise
                    await asyncio.sleep(AGAIN_SECONDS)

    async def _read(self, follow: "Follow", metadata: tuple[tuple[str, str], ...]) -> None:
        cursor = self.events[-1].cursor if self.events else ""
        self.streams += 1
        request = StreamAnswerRequest(name=self.query, after_cursor=cursor)
        async for event in follow(request, metadata=metadata):
            if not event.HasField("heartbeat"):
                self.events.append(event)

    @property
    def _ended(self) -> bool:
        return bool(self.events) and kind_of(self.events[-1]) in TERMINAL


Follow: TypeAlias = "grpc.aio.UnaryStreamMultiCallable[StreamAnswerRequest, AnswerEvent]"
# A channel waits up to two minutes for a server that was away, by default.
BACKOFF = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 250)]


def kind_of(event: AnswerEvent) -> str:
    return event.WhichOneof("event") or ""


def require_whole(events: Sequence[AnswerEvent]) -> None:
    """No gap, no repeat, no step back, and one end."""
    assert events, "a reader saw nothing"
    cursors = [event.cursor for event in events]
    assert len(set(cursors)) == len(cursors), "a reader saw an event twice"
    ends = [kind_of(event) for event in events if kind_of(event) in TERMINAL]
    assert len(ends) == 1, f"a reader saw {len(ends)} ends"
    assert kind_of(events[-1]) in TERMINAL, "a reader saw something behind the end"
    _require_sequences(events)
    if events[-1].HasField("completed"):
        assert shown_text(events) == events[-1].completed.answer, "the deltas are another text"


def _require_sequences(events: Sequence[AnswerEvent]) -> None:
    attempts: dict[str, int] = {}
    current = ""
    for event in events:
        if not event.attempt:
            continue
        if event.attempt != current:
            assert event.attempt not in attempts, "a reader was led back to an earlier attempt"
            # The first attempt's opening is hidden; every later one says that it begins anew.
            attempts[event.attempt] = OPENING if not current else OPENING - 1
            current = event.attempt
        assert event.sequence == attempts[current] + 1, "a reader missed an event"
        attempts[current] = event.sequence


def shown_text(events: Sequence[AnswerEvent]) -> str:
    """What a reader who shows deltas has on the screen at the end."""
    shown = ""
    for event in events:
        if event.HasField("restarted"):
            shown = ""
        shown += event.delta.text
    return shown
