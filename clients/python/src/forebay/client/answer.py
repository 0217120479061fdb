"""A whole answer, and how the events of a query add up to it."""

from dataclasses import dataclass

from forebay.client.errors import ForebayError, QueryCancelled, QueryFailed
from forebay.client.failure import failure_of_status
from forebay.query.v1 import AnswerEvent, Citation, Passage, Usage

TERMINAL = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True)
class Answer:
    """What a query came to.

    Attributes:
        query: its name, `queries/{query}`.
        text: the answer; empty when passages alone were asked for.
        passages: what was found, best first.
        citations: which part of the text rests on which passage; spans count UTF-8 bytes.
        usage: what it cost; without a model when no model was called.
        finish_reason: an AnswerEvent.Completed.FinishReason.
    """

    query: str
    text: str
    passages: tuple[Passage, ...]
    citations: tuple[Citation, ...]
    usage: Usage
    finish_reason: AnswerEvent.Completed.FinishReason.ValueType


class AnswerFold:
    """Adds events up, in their order."""

    def __init__(self) -> None:
        self.query = ""
        self._passages: tuple[Passage, ...] = ()
        self._citations: list[Citation] = []
        self._usage = Usage()
        self._completed: AnswerEvent.Completed | None = None
        self._error: ForebayError | None = None

    @property
    def ended(self) -> bool:
        """Whether a terminal event was added."""
        return self._completed is not None or self._error is not None

    def add(self, event: AnswerEvent) -> None:
        """The next event."""
        self.query = event.query or self.query
        match event.WhichOneof("event"):
            case "retrieved":
                self._passages = tuple(event.retrieved.passages)
            case "restarted":
                self._citations.clear()
            case "citation":
                self._citations.append(event.citation)
            case "usage":
                self._usage = event.usage
            case "completed":
                self._completed = event.completed
            case "failed":
                self._error = QueryFailed(self.query, failure_of_status(event.failed.error))
            case "cancelled":
                self._error = QueryCancelled(self.query)
            case _:
                # Deltas are for those who show the text as it grows: `completed` has it whole.
                pass

    def answer(self) -> Answer:
        """The whole answer.

        Raises:
            QueryFailed, QueryCancelled: there is none.
        """
        if self._completed is None:
            raise self._error or RuntimeError("the query has not ended")
        return Answer(
            query=self.query,
            text=self._completed.answer,
            passages=self._passages,
            citations=tuple(self._citations),
            usage=self._usage,
            finish_reason=self._completed.finish_reason,
        )
