"""One attempt at an answer while the model writes it."""

from __future__ import annotations

from forebay.query.v1 import AnswerEvent, Citation, Span, Usage
from forebay.records.v1 import ContextRecord
from forebay_workers.answer_writer import AnswerWriter
from forebay_workers.generation.delta_joiner import DeltaJoiner
from forebay_workers.models.generation_model import (
    AnswerPart,
    CitationMark,
    Finished,
    TextDelta,
    TokenUsage,
)


class AnswerInProgress:
    """Turns the parts of one attempt into events."""

    def __init__(self, writer: AnswerWriter) -> None:
        self._writer = writer
        self._text: list[str] = []
        self.has_parts = False
        """Whether the model has said anything that a further attempt would take back."""
        self._joiner = DeltaJoiner(self._write_delta)
        self._finish = AnswerEvent.Completed.FINISH_REASON_STOP

    def begin(self, context: ContextRecord) -> None:
        """Open the attempt and show what was found."""
        self._writer.open("the answer is written again")
        self._writer.write(retrieved=AnswerEvent.Retrieved(passages=context.passages))

    async def acknowledged(self) -> None:
        """Wait until the log has all events so far. Raises LogUnavailable."""
        await self._writer.acknowledged()

    def add(self, part: AnswerPart) -> None:
        """Take the model's next part. Raises LogUnavailable where the log has lost a former one."""
        self._writer.require_whole()
        self.has_parts = True
        match part:
            case TextDelta(text):
                self._text.append(text)
                self._joiner.add(text)
            case CitationMark(passage, start, end):
                self._joiner.flush()
                span = Span(start=start, end=end)
                self._writer.write(citation=Citation(passage=passage, span=span))
            case TokenUsage(model, read, written):
                self._joiner.flush()
                usage = Usage(model=model, input_tokens=read, output_tokens=written)
                self._writer.write(usage=usage)
            case Finished(reason):
                self._finish = AnswerEvent.Completed.FinishReason.Value(
                    f"FINISH_REASON_{reason.name}"
                )

    async def complete(self) -> None:
        """End the answer once all of it is in the log."""
        self._joiner.flush()
        await self._writer.complete("".join(self._text), self._finish)

    def leave(self) -> None:
        """Let nothing be written later."""
        self._joiner.drop_timer()

    def _write_delta(self, text: str) -> None:
        self._writer.write(delta=AnswerEvent.Delta(text=text))
