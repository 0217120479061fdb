"""Readers of an answer, while the edge behind them is killed five times."""

import asyncio
import random
from typing import Any

import pytest

from forebay.query.v1 import AnswerEvent, Citation, Passage, Span, Usage

from .driver import Driver
from .events import Q, accepted, completed, delta, retrieved
from .peer import Peer
from .wire import Wire, wire_to

KILLS = 5
STRIDE = 13  # bytes from one first cut to the next; every event is longer, so each is cut
TEXT = "Water falls on the weir."
RESTARTED = AnswerEvent(query=Q, cursor="c-restarted", restarted=AnswerEvent.Restarted())
CITATION = AnswerEvent(
    query=Q,
    cursor="c-a2-3",
    attempt="a2",
    sequence=3,
    citation=Citation(passage=0, span=Span(end=11)),
)
USAGE = AnswerEvent(
    query=Q, cursor="c-a2-5", attempt="a2", sequence=5, usage=Usage(model="m", output_tokens=6)
)
WHOLE = (
    accepted(),
    retrieved(),
    delta(1, "Water "),
    delta(2, "is "),
    RESTARTED,
    delta(1, "Water ", "a2"),
    delta(2, "falls", "a2"),
    CITATION,
    delta(4, " on the weir.", "a2"),
    USAGE,
    completed(TEXT),
)


class Edge:
    """Serves one query to any number of readers, from any of its cursors."""

    def __init__(self, peer: Peer, events: tuple[AnswerEvent, ...] = WHOLE) -> None:
        self.questions = set[str]()
        self._events = events
        self._starts = {event.cursor: number for number, event in enumerate(events, start=1)}
        peer.on("Ask", self._ask)
        peer.on("StreamAnswer", self._follow)

    async def send(self, start: int, context: Any) -> None:
        for event in self._events[start:]:
            await context.write(event)

    async def _ask(self, request: Any, context: Any) -> None:
        self.questions.add(request.query.request_id)
        await self.send(0, context)

    async def _follow(self, request: Any, context: Any) -> None:
        start = self._starts[request.after_cursor] if request.after_cursor else 0
        await self.send(start, context)


class EdgeKilledBetweenEvents(Edge):
    """Is killed once the reader has so many events: nothing of a further one is on its way."""

    def __init__(self, peer: Peer, wire: Wire, boundaries: tuple[int, ...]) -> None:
        super().__init__(peer)
        self.seen: list[AnswerEvent] = []
        self.boundaries = list(boundaries)
        self._wire = wire
        self._more = asyncio.Event()

    def see(self, event: AnswerEvent) -> None:
        self.seen.append(event)
        self._more.set()

    async def send(self, start: int, context: Any) -> None:
        if not self.boundaries:
            await super().send(start, context)
            return
        boundary = self.boundaries.pop(0)
        for event in self._events[start:boundary]:
            await context.write(event)
        while len(self.seen) < boundary:
            self._more.clear()
            await self._more.wait()
        self._wire.kill()


def plans() -> list[tuple[int, ...]]:
    """Each boundary five times in a row; each five in a row; and some at random."""
    last = len(WHOLE) - 1
    same = [(boundary,) * KILLS for boundary in range(last + 1)]
    rising = [tuple(range(first, first + KILLS)) for first in range(last - KILLS + 2)]
    chance = random.Random(7)  # noqa: S311 - any sequence does, the same each time
    mixed = [tuple(sorted(chance.choices(range(last + 1), k=KILLS))) for _ in range(10)]
    return [*same, *rising, *mixed]


@pytest.mark.parametrize("boundaries", plans(), ids=str)
@pytest.mark.parametrize("method", ["ask", "follow"])
async def test_a_reader_outlives_an_edge_that_is_killed_between_events(
    peer: Peer, driver_class: type[Driver], boundaries: tuple[int, ...], method: str
) -> None:
    async with wire_to(peer.target) as wire:
        edge = EdgeKilledBetweenEvents(peer, wire, boundaries)
        driver = driver_class(wire.target)
        try:
            await driver.each(edge.see, method, "why?" if method == "ask" else Q)
        finally:
            await driver.close()

    assert edge.seen == list(WHOLE)
    assert edge.boundaries == []
    assert len(wire.carried) == KILLS + 1
    assert len(edge.questions) <= 1


async def test_a_reader_outlives_an_edge_that_is_killed_in_the_middle_of_messages(
    peer: Peer, driver_class: type[Driver]
) -> None:
    """The first cut goes over the whole answer; the others leave the next edges little time."""
    edge = Edge(peer)
    chance, kills = random.Random(7), 0  # noqa: S311 - any sequence does, the same each time
    async with wire_to(peer.target) as wire:
        assert await read(driver_class(wire.target)) == list(WHOLE)
        (length,) = wire.carried
        assert length > sum(event.ByteSize() for event in WHOLE)
        for first in range(1, length, STRIDE):
            cuts = [first, *(chance.randrange(length // 2) for _ in range(KILLS - 1))]
            wire.cut(*cuts)
            edge.questions.clear()
            assert await read(driver_class(wire.target)) == list(WHOLE), cuts
            assert len(edge.questions) == 1
            kills += sum(map(int.__eq__, wire.carried, cuts))
    assert kills > KILLS * (length // STRIDE) // 2


async def read(driver: Driver) -> list[AnswerEvent]:
    try:
        return await driver.collect("ask", "why?")
    finally:
        await driver.close()


async def test_an_answer_of_many_segments_is_the_same_over_six_edges(
    peer: Peer, driver_class: type[Driver]
) -> None:
    """Messages of many frames: a cut leaves a part of one, and the next edge sends it again."""
    passages = [Passage(document=f"collections/a/documents/d{n}", text="w" * 50_000) for n in "ab"]
    found = AnswerEvent(
        query=Q, cursor="c-retrieved", retrieved=AnswerEvent.Retrieved(passages=passages)
    )
    deltas = [delta(number, f"{number} " * 5_000) for number in range(1, 9)]
    text = "".join(event.delta.text for event in deltas)
    events = (accepted(), found, *deltas, completed(text, 9))
    edge = Edge(peer, events)
    cuts = (20_000, 90_000, 130_000, 17_000, 60_001)
    async with wire_to(peer.target, cuts) as wire:
        driver = driver_class(wire.target)
        try:
            answer = await driver.answer("why?")
        finally:
            await driver.close()
    assert answer.text == text
    assert list(answer.passages) == passages
    assert len(wire.carried) == len(cuts) + 1
    assert len(edge.questions) == 1
