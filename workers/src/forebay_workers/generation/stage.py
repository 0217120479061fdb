"""The generation stage: contexts into answers, event by event."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from google.protobuf.message import Message

from forebay.query.v1 import Passage
from forebay.records.v1 import ContextRecord, Stage
from forebay_kafka.failure import status_of
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import Verified
from forebay_workers.answer_writer import AnswerWriter, fail
from forebay_workers.generation.answer_in_progress import AnswerInProgress
from forebay_workers.generation.errors import AttemptsExhausted
from forebay_workers.ledger.answers import AnswerLedger, Progress
from forebay_workers.ledger.output_tail import OutputTail
from forebay_workers.models.errors import (
    ModelRefused,
    ModelReplyInvalid,
    ModelThrottled,
    ModelUnavailable,
)
from forebay_workers.models.generation_model import (
    GenerationModel,
    GenerationRequest,
    PromptPassage,
)
from forebay_workers.record_loop.stage import Retry, Work
from forebay_workers.stage_failure import Rules, StageFailure, judged

RULES: Rules = {
    ModelThrottled: Retry.BRIEFLY,
    ModelUnavailable: Retry.BRIEFLY,
    ModelRefused: Retry.NEVER,
    ModelReplyInvalid: Retry.NEVER,
}
MAX_ATTEMPTS = 3  # each is paid for, and its text is taken back from those who read it


class Generation:
    """Writes the answer of a query, once, and stops paying when nobody wants it."""

    stage = Stage.STAGE_GENERATION
    reads: tuple[type[Message], ...] = (ContextRecord,)

    def __init__(
        self,
        model: GenerationModel,
        publisher: Publisher,
        answers: AnswerLedger,
        output: OutputTail,
    ) -> None:
        self._model = model
        self._publisher = publisher
        self._answers = answers
        self._output = output
        self._opened: dict[tuple[int, str], AnswerInProgress] = {}

    def lane(self, record: Verified[ContextRecord]) -> str:
        """Deliveries of one query follow one another."""
        return record.message.name

    async def process(self, work: Work[ContextRecord]) -> None:
        """Answer a query, unless the log says that it has ended."""
        progress = self._answers.progress(work.message.name)
        if progress.ended.is_set():
            return
        await self._until_ended(work, progress)

    async def give_up(self, work: Work[ContextRecord], error: Exception) -> None:
        """Tell the asker that there will be no answer, unless it has ended otherwise."""
        self._opened.pop(_key(work), None)
        progress = self._answers.progress(work.message.name)
        if progress.ended.is_set():
            return
        await fail(self._publisher, work, work.message.name, status_of(error))
        progress.ended.set()

    async def take_over(self, partitions: frozenset[int]) -> None:
        """Read which queries of these partitions have ended, and go on reading."""
        await self._output.take_over(partitions)

    async def release(self, partitions: frozenset[int]) -> None:
        """Stop reading what others own now."""
        await self._output.release(partitions)
        for key in [key for key in self._opened if key[0] in partitions]:
            del self._opened[key]

    async def _until_ended(self, work: Work[ContextRecord], progress: Progress) -> None:
        writing = asyncio.ensure_future(self._write(work))
        ending = asyncio.ensure_future(progress.ended.wait())
        try:
            await asyncio.wait({writing, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            if not writing.done():
                writing.cancel()
                await asyncio.wait({writing})
        if not writing.cancelled():
            writing.result()
            progress.ended.set()

    async def _write(self, work: Work[ContextRecord]) -> None:
        answer = self._opened.pop(_key(work), None) or self._begin(work)
        try:
            if work.attempt > 1:
                # The log may be why: no model is paid before it takes records again.
                await answer.acknowledged()
            with judged(RULES):
                async with aclosing(self._model.generate(_request(work))) as parts:
                    async for part in parts:
                        answer.add(part)
            await answer.complete()
        except StageFailure:
            # The model said nothing yet: a further try belongs to the attempt that is open.
            if not answer.has_parts:
                self._opened[_key(work)] = answer
            raise
        finally:
            answer.leave()

    def _begin(self, work: Work[ContextRecord]) -> AnswerInProgress:
        if len(self._answers.progress(work.message.name).fold.opened) >= MAX_ATTEMPTS:
            raise AttemptsExhausted
        answer = AnswerInProgress(AnswerWriter(self._publisher, work, work.message.name))
        answer.begin(work.message)
        return answer


def _key(work: Work[ContextRecord]) -> tuple[int, str]:
    return work.source.partition, work.message.name


def _request(work: Work[ContextRecord]) -> GenerationRequest:
    limits = work.envelope.identity.limits
    return GenerationRequest(
        question=work.message.text,
        passages=tuple(_prompt_passage(passage) for passage in work.message.passages),
        model=limits.model,
        max_output_tokens=limits.output_tokens,
        context_tokens=limits.context_tokens,
    )


def _prompt_passage(passage: Passage) -> PromptPassage:
    return PromptPassage(
        document=passage.document,
        title=passage.title,
        heading=" > ".join(passage.headings),
        text=passage.text,
    )
