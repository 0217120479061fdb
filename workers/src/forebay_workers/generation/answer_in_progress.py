"""One answer while the model writes it, in one attempt or, where that is overtaken, in more."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from forebay.query.v1 import AnswerEvent, Citation, Span, Usage
from forebay.records.v1 import ContextRecord
from forebay_kafka.publisher import Position, Publisher
from forebay_workers.answer_writer import YIELD_SECONDS, AnswerWriter, EndNotShown
from forebay_workers.generation.charge import charge
from forebay_workers.generation.delta_joiner import DeltaJoiner
from forebay_workers.ledger.answers import AnswerLedger
from forebay_workers.models.cost_estimate import estimated_cost
from forebay_workers.models.generation_model import (
    AnswerPart,
    CitationMark,
    Finished,
    GenerationRequest,
    TextDelta,
    TokenUsage,
)
from forebay_workers.record_loop.stage import Work

log = logging.getLogger(__name__)


class AnswerInProgress:
    """Turns the parts of one model call into events that count.

    Where somebody else opens an attempt meanwhile, it goes on in memory, and after a while opens
    another attempt with everything so far: no model is paid twice for that.
    """

    def __init__(
        self, publisher: Publisher, answers: AnswerLedger, work: Work[ContextRecord]
    ) -> None:
        self._publisher = publisher
        self._answers = answers
        self._work = work
        self._progress = answers.progress(work.message.name)
        self._known = len(self._progress.fold.opened)
        self._events: list[dict[str, Any]] = []
        self._text: list[str] = []
        self.has_parts = False
        """Whether the model has said anything that a further attempt would take back."""
        self._joiner = DeltaJoiner(self._write_delta)
        self._finish = AnswerEvent.Completed.FINISH_REASON_STOP
        self._overtaken: float | None = None
        self._charging: asyncio.Future[Position] | None = None
        self._whole = False
        self._open()
        self._write(retrieved=AnswerEvent.Retrieved(passages=work.message.passages))

    @property
    def writer(self) -> AnswerWriter:
        """The attempt that this process opened last."""
        return self._writer

    @property
    def resumable(self) -> bool:
        """Whether another call of the model may go on in this attempt."""
        return self._writer.whole and not self.has_parts

    async def begun(self) -> None:
        """Wait until the log shows the attempt, and with it all that was written before.

        Whoever was asleep has caught up then, before any model is paid. Raises LogUnavailable.
        """
        await self._answers.seen(await self._writer.acknowledged())
        if len(self._progress.fold.opened) > self._known or self._is_overtaken():
            await asyncio.sleep(YIELD_SECONDS)
            self._known = len(self._progress.fold.opened)
            self._take_back()

    def add(self, part: AnswerPart) -> None:
        """Take the model's next part. Raises LogUnavailable where the log has lost a former one."""
        self._writer.require_whole()
        self._take_back()
        self.has_parts = True
        match part:
            case TextDelta(text):
                self._text.append(text)
                self._joiner.add(text)
            case CitationMark(passage, start, end):
                self._joiner.flush()
                span = Span(start=start, end=end)
                self._write(citation=Citation(passage=passage, span=span))
            case TokenUsage(model, read, written):
                self._joiner.flush()
                usage = Usage(model=model, input_tokens=read, output_tokens=written)
                self._write(usage=usage)
                self._charging = self._charge(usage)
            case Finished(reason):
                self._whole = True
                self._finish = AnswerEvent.Completed.FinishReason.Value(
                    f"FINISH_REASON_{reason.name}"
                )

    async def complete(self) -> None:
        """Return once the log says that the answer has ended. Raises LogUnavailable."""
        self._joiner.flush()
        if self._charging is not None:
            await self._charging
        completed = AnswerEvent.Completed(answer="".join(self._text), finish_reason=self._finish)
        while not self._progress.ended.is_set():
            if self._is_overtaken():
                await self._progress.ends_within(YIELD_SECONDS)
                self._take_back()
                continue
            await self._answers.seen(await self._writer.end(completed=completed))
            if not self._progress.ended.is_set() and not self._is_overtaken():
                raise EndNotShown

    def leave(self, request: GenerationRequest) -> None:
        """Let nothing be written later; an answer that was cut is charged by a guess.

        Whoever cancels an answer before its last word has read, and caused, all others.
        """
        self._joiner.drop_timer()
        if not self.has_parts or self._whole or self._charging is not None:
            return
        cost = estimated_cost(request, "".join(self._text), request.model)
        usage = Usage(
            model=cost.model, input_tokens=cost.input_tokens, output_tokens=cost.output_tokens
        )
        self._charging = self._charge(usage)
        self._charging.add_done_callback(_say_lost)

    def _charge(self, usage: Usage) -> asyncio.Future[Position]:
        return charge(self._publisher, self._work, self._writer.attempt, usage)

    def _write_delta(self, text: str) -> None:
        self._write(delta=AnswerEvent.Delta(text=text))

    def _write(self, **event: Any) -> None:  # noqa: ANN401 one field of AnswerEvent's oneof
        self._events.append(event)
        if not self._is_overtaken():
            self._writer.write(**event)

    def _open(self) -> None:
        self._writer = AnswerWriter(self._publisher, self._work, self._work.message.name)
        self._writer.open("the answer is written again")
        self._known += 1

    def _is_overtaken(self) -> bool:
        if self._overtaken is None and self._progress.superseded(self._writer.attempt):
            self._overtaken = asyncio.get_running_loop().time()
        return self._overtaken is not None

    def _take_back(self) -> None:
        """Write everything again, once whoever overtook this process had time to end."""
        now = asyncio.get_running_loop().time()
        if not self._is_overtaken() or now < (self._overtaken or now) + YIELD_SECONDS:
            return
        self._overtaken = None
        self._open()
        for event in self._events:
            self._writer.write(**event)


def _say_lost(charging: asyncio.Future[Position]) -> None:
    if charging.cancelled() or charging.exception() is not None:
        log.warning("what an answer cost that was cut is charged to nobody")
