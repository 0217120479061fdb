"""The port of models that write answers, and the parts an answer arrives in."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PromptPassage:
    """A passage that the asker may read."""

    document: str
    title: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One question with what may be read for it, best passage first.

    `model` is empty for the configured one. `context_tokens` bounds what is sent and
    `max_output_tokens` what comes back; the deadline is the caller's (`asyncio.timeout`).
    """

    question: str
    passages: tuple[PromptPassage, ...]
    model: str
    max_output_tokens: int
    context_tokens: int


class FinishReason(Enum):
    """Why an answer ended; the names are those of the contract without their prefix."""

    STOP = auto()
    LENGTH = auto()
    NO_EVIDENCE = auto()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """What to append to the answer; never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class CitationMark:
    """The answer's bytes [start, end) rest on a passage.

    `passage` is the index into the request's passages, from 0. Offsets are UTF-8 bytes of the
    answer so far, so a mark never comes before the text it marks.
    """

    passage: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What the answer cost, once, before `Finished`."""

    model: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole. Always the last part."""

    reason: FinishReason


AnswerPart = TextDelta | CitationMark | TokenUsage | Finished

NO_EVIDENCE_ANSWER = "The passages that you may read hold no answer to this question."


class GenerationModel(Protocol):
    """Writes an answer to a question from its passages alone."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[AnswerPart, None]:
        """Yield the answer's parts; the last one is `Finished`.

        Closing the generator, or cancelling the task that reads it, ends the work and its
        connection at once: read it under `contextlib.aclosing`. Raises the tree of `ModelError`,
        possibly after the first parts.
        """

    async def close(self) -> None:
        """Give connections back; the model is of no use afterwards."""
