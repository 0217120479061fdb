"""The generation stage: contexts into answers, event by event."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from google.protobuf.message import Message

from forebay.query.v1 import Passage
from forebay.records.v1 import ContextRecord, Stage
from forebay_kafka.failure import status_of
from forebay_kafka.publisher import Publisher
from forebay_workers.answer_writer import AnswerFailure
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
from forebay_workers.stage_failure import Rules, judged

RULES: Rules = {
    ModelThrottled: Retry.THROTTLED,
    ModelUnavailable: Retry.BRIEFLY,
    ModelRefused: Retry.NEVER,
    ModelReplyInvalid: Retry.NEVER,
}
MAX_ATTEMPTS = 3  # each is paid for, and its text is taken back from those who read it


class Generation:
    """Writes the answer of a query, once, and stops paying when nobody wants it.

    A context that does not verify becomes a dead letter, and nothing is written for its asker,
    whose reading ends at the query's deadline: an end needs an envelope to be believed, and such
    a record has none. A key alone proves nothing, or anybody could end anybody's answer.
    """

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
        self._failure = AnswerFailure(publisher, answers)
        self._begun: dict[tuple[int, str], AnswerInProgress] = {}

    async def process(self, work: Work[ContextRecord]) -> None:
        """Answer a query, unless the log says that it has ended."""
        progress = self._answers.progress(work.message.name)
        if not progress.ended.is_set():
            await self._until_ended(work, progress)
        self._begun.pop(_key(work), None)

    async def give_up(self, work: Work[ContextRecord], error: Exception) -> None:
        """Tell the asker that there will be no answer, unless it has ended otherwise."""
        answer = self._begun.pop(_key(work), None)
        own = answer.writer if answer is not None else None
        await self._failure.write(work, work.message.name, status_of(error), own)

    async def take_over(self, partitions: frozenset[int]) -> None:
        """Read which queries of these partitions have ended, and go on reading."""
        await self._output.take_over(partitions)

    async def release(self, partitions: frozenset[int]) -> None:
        """Stop reading what others own now."""
        await self._output.release(partitions)
        for key in [key for key in self._begun if key[0] in partitions]:
            del self._begun[key]

    async def _until_ended(self, work: Work[ContextRecord], progress: Progress) -> None:
        writing = asyncio.ensure_future(self._write(work, progress))
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

    async def _write(self, work: Work[ContextRecord], progress: Progress) -> None:
        answer, request = self._answer(work, progress), _request(work)
        try:
            await answer.begun()
            if progress.ended.is_set():
                return
            with judged(RULES):
                async with aclosing(self._model.generate(request)) as parts:
                    async for part in parts:
                        answer.add(part)
            await answer.complete()
        finally:
            answer.leave(request)

    def _answer(self, work: Work[ContextRecord], progress: Progress) -> AnswerInProgress:
        """The attempt of a former try, where the model said nothing in it, or another one."""
        former = self._begun.get(_key(work))
        if former is not None and former.resumable:
            return former
        if len(progress.fold.opened) >= MAX_ATTEMPTS:
            raise AttemptsExhausted
        answer = AnswerInProgress(self._publisher, self._answers, work)
        self._begun[_key(work)] = answer
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
