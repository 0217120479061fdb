"""The retrieval stage: questions into contexts, or into answers where passages are all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from google.protobuf.message import Message

from forebay.policy.v1 import Visibility
from forebay.query.v1 import AnswerEvent, Passage, Span, SubmitQueryRequest
from forebay.records.v1 import ContextRecord, QueryRecord, Stage
from forebay_kafka.failure import status_of
from forebay_kafka.publisher import Publisher
from forebay_postgres.errors import (
    DatabaseUnavailable,
    IndexWithdrawn,
    ServingIndexMissing,
    StatementTimedOut,
)
from forebay_postgres.retriever import FoundPassage
from forebay_workers.answer_writer import YIELD_SECONDS, AnswerFailure, AnswerWriter
from forebay_workers.ledger.answers import AnswerLedger
from forebay_workers.ledger.names import SeenNames
from forebay_workers.ledger.output_tail import OutputTail
from forebay_workers.models.errors import (
    ModelRefused,
    ModelReplyInvalid,
    ModelThrottled,
    ModelUnavailable,
)
from forebay_workers.record_loop.stage import Retry, Work
from forebay_workers.retrieval.search import Search
from forebay_workers.stage_failure import For, Rules, judged

# Without the index there is no answer: the asker hears of it within 5 s. An endpoint of a model
# hiccups more often than it is down, and its delays end within most deadlines.
WITHOUT_INDEX = For(2.0)
RULES: Rules = {
    StatementTimedOut: Retry.BRIEFLY,  # it answers others: in a crowd it will answer this one too
    DatabaseUnavailable: WITHOUT_INDEX,
    ServingIndexMissing: WITHOUT_INDEX,
    IndexWithdrawn: WITHOUT_INDEX,
    ModelThrottled: Retry.THROTTLED,
    ModelUnavailable: Retry.BRIEFLY,
    ModelRefused: Retry.NEVER,
    ModelReplyInvalid: Retry.NEVER,
}


class Retrieval:
    """Finds what an asker may read for a question, once per query.

    A query that does not verify becomes a dead letter, and nothing is written for its asker,
    whose reading ends at the query's deadline: an end needs an envelope to be believed, and such
    a record has none. A key alone proves nothing, or anybody could end anybody's answer.
    """

    stage = Stage.STAGE_RETRIEVAL
    reads: tuple[type[Message], ...] = (QueryRecord,)

    def __init__(
        self,
        search: Search,
        publisher: Publisher,
        answers: AnswerLedger,
        contexts: SeenNames,
        outputs: Sequence[OutputTail],
    ) -> None:
        self._search = search
        self._publisher = publisher
        self._answers = answers
        self._contexts = contexts
        self._outputs = outputs
        self._failure = AnswerFailure(publisher, answers)

    async def process(self, work: Work[QueryRecord]) -> None:
        """Look for passages and hand them on, unless the log says that this was done."""
        name = work.message.name
        if self._is_done(name):
            return
        with judged(RULES):
            found = await self._search.passages(work.message.request, work.envelope)
        passages = [_passage(passage) for passage in found]
        if work.message.request.mode == SubmitQueryRequest.MODE_RETRIEVE_ONLY:
            await self._answer(work, passages)
        else:
            await self._hand_on(work, passages)

    async def give_up(self, work: Work[QueryRecord], error: Exception) -> None:
        """Tell the asker that there will be no answer, unless others see to it already."""
        if self._is_done(work.message.name):
            return
        await self._failure.write(work, work.message.name, status_of(error))

    async def take_over(self, partitions: frozenset[int]) -> None:
        """Read which queries of these partitions are done."""
        async with asyncio.TaskGroup() as reading:
            for output in self._outputs:
                reading.create_task(output.take_over(partitions))

    async def release(self, partitions: frozenset[int]) -> None:
        """Stop reading what others own now."""
        for output in self._outputs:
            await output.release(partitions)

    def _is_done(self, name: str) -> bool:
        return name in self._contexts or self._answers.progress(name).ended.is_set()

    async def _hand_on(self, work: Work[QueryRecord], passages: Sequence[Passage]) -> None:
        query = work.message
        record = ContextRecord(
            name=query.name,
            text=query.request.text,
            passages=passages,
            expire_time=query.expire_time,
        )
        await self._publisher.publish(
            record,
            key=query.name,
            identity_token=work.identity_token,
            trace_parent=work.trace_parent,
        )
        self._contexts.add(query.name)

    async def _answer(self, work: Work[QueryRecord], passages: Sequence[Passage]) -> None:
        progress = self._answers.progress(work.message.name)
        while not progress.ended.is_set():
            writer = AnswerWriter(self._publisher, work, work.message.name)
            writer.open("the passages are looked for again")
            writer.write(retrieved=AnswerEvent.Retrieved(passages=passages))
            # One acknowledgement for both: where the first is lost, the second counts for nobody.
            finish_reason = AnswerEvent.Completed.FINISH_REASON_RETRIEVED
            writer.write(completed=AnswerEvent.Completed(finish_reason=finish_reason))
            await self._answers.seen(await writer.acknowledged())
            if not progress.ended.is_set():  # somebody opened an attempt behind this one
                await progress.ends_within(YIELD_SECONDS)


def _passage(found: FoundPassage) -> Passage:
    return Passage(
        document=f"collections/{found.key.collection}/documents/{found.key.document_id}",
        title=found.title,
        headings=found.heading_path,
        ordinal=found.ordinal,
        text=found.text,
        score=found.score,
        visibility=Visibility.ValueType(found.visibility),
        source_uri=found.source_uri,
        span=Span(start=found.span_start, end=found.span_end),
        groups=found.groups,
    )
