"""Answers from any endpoint that speaks OpenAI's streaming `/v1/chat/completions`."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import openai
from openai import AsyncAPIResponse, AsyncStream
from openai.types.chat import (
    ChatCompletionChunk,
    ChatCompletionSystemMessageParam,
    ChatCompletionUserMessageParam,
)

from forebay_workers.models.chat_chunks import chat_chunks
from forebay_workers.models.citation_markers import CitationMarkers
from forebay_workers.models.errors import ModelRefused, ModelReplyInvalid, ModelUnavailable
from forebay_workers.models.generation_model import (
    NO_EVIDENCE_ANSWER,
    AnswerPart,
    Finished,
    FinishReason,
    GenerationRequest,
    TextDelta,
    TokenUsage,
)
from forebay_workers.models.openai_endpoint import Endpoint, client_of, translated_errors
from forebay_workers.models.prompt import Prompt, compose
from forebay_workers.models.token_estimate import estimate_tokens

_FINISH = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}


@dataclass(frozen=True, slots=True)
class ChatDialect:
    """Where endpoints differ in what they accept.

    `completion_limit` sends the output limit as `max_completion_tokens`, which reasoning models
    demand and most compatible servers do not know. `temperature` is left out when None: some
    models refuse any.
    """

    completion_limit: bool = False
    temperature: float | None = None


_WIDEST_DIALECT = ChatDialect()


class OpenAIGeneration:
    """Streams one answer per call and hides the endpoint's dialect."""

    def __init__(
        self, endpoint: Endpoint, model: str, dialect: ChatDialect = _WIDEST_DIALECT
    ) -> None:
        """Connect lazily; `model` serves the requests that name none."""
        self._client = client_of(endpoint)
        self._model = model
        self._dialect = dialect

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[AnswerPart, None]:
        """See `GenerationModel.generate`. Without passages no model is called or paid."""
        model = request.model or self._model
        if not request.passages:
            yield TextDelta(NO_EVIDENCE_ANSWER)
            yield TokenUsage(model=model, input_tokens=0, output_tokens=0)
            yield Finished(FinishReason.NO_EVIDENCE)
            return
        prompt = compose(request)
        answer = _Answer(model, prompt)
        with translated_errors():
            async with self._open(model, prompt, request.max_output_tokens) as response:
                async for chunk in chat_chunks(response.iter_bytes()):
                    for part in answer.read(chunk):
                        yield part
            ending = answer.finish()
        for part in ending:
            yield part

    def _open(
        self, model: str, prompt: Prompt, max_output_tokens: int
    ) -> AbstractAsyncContextManager[AsyncAPIResponse[AsyncStream[ChatCompletionChunk]]]:
        # Leaving the block closes the connection: the endpoint stops writing what nobody reads.
        return self._client.chat.completions.with_streaming_response.create(
            model=model,
            messages=[
                ChatCompletionSystemMessageParam(role="system", content=prompt.system),
                ChatCompletionUserMessageParam(role="user", content=prompt.user),
            ],
            max_tokens=openai.omit if self._dialect.completion_limit else max_output_tokens,
            max_completion_tokens=(
                max_output_tokens if self._dialect.completion_limit else openai.omit
            ),
            temperature=(
                openai.omit if self._dialect.temperature is None else self._dialect.temperature
            ),
            stream=True,
            stream_options={"include_usage": True},
        )

    async def close(self) -> None:
        """See `GenerationModel.close`."""
        await self._client.close()


class _Answer:
    """One answer as it arrives: its text, how it ended, what it cost."""

    def __init__(self, model: str, prompt: Prompt) -> None:
        self._model = model
        self._prompt = prompt
        self._markers = CitationMarkers(prompt.passages)
        self._written: list[str] = []
        self._finish: str | None = None
        self._usage: dict[str, Any] | None = None

    def read(self, chunk: dict[str, Any]) -> Iterator[AnswerPart]:
        self._usage = chunk.get("usage") or self._usage
        choices = chunk.get("choices") or [{}]
        text = (choices[0].get("delta") or {}).get("content") or ""
        self._written.append(text)
        self._finish = choices[0].get("finish_reason") or self._finish
        return self._markers.feed(text)

    def finish(self) -> list[AnswerPart]:
        """Return the last parts, or raise what the ending means."""
        if self._finish is None:
            message = "the model endpoint's stream ended before its answer did"
            raise ModelUnavailable(message)
        if self._finish == "content_filter":
            message = "the model endpoint filtered the answer"
            raise ModelRefused(message)
        if self._finish not in _FINISH or not "".join(self._written).strip():
            message = "the model endpoint's answer holds no text"
            raise ModelReplyInvalid(message)
        return [*self._markers.finish(), self._cost(), Finished(_FINISH[self._finish])]

    def _cost(self) -> TokenUsage:
        if self._usage is not None:
            read, written = self._usage["prompt_tokens"], self._usage["completion_tokens"]
            return TokenUsage(self._model, int(read), int(written))
        # Some endpoints never say; a guess on the high side keeps token limits meaningful.
        read = estimate_tokens(self._prompt.system) + estimate_tokens(self._prompt.user)
        return TokenUsage(self._model, read, estimate_tokens("".join(self._written)))
