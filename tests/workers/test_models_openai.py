"""The OpenAI-compatible models against a real server that misbehaves."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import numpy as np
import pytest
from pydantic import SecretStr

from forebay_benchmarks.model_server import ModelServer
from forebay_workers.models.errors import (
    ModelError,
    ModelRefused,
    ModelReplyInvalid,
    ModelThrottled,
    ModelUnavailable,
)
from forebay_workers.models.generation_model import (
    AnswerPart,
    CitationMark,
    Finished,
    FinishReason,
    GenerationRequest,
    PromptPassage,
    TextDelta,
    TokenUsage,
)
from forebay_workers.models.openai_embedding import EmbeddingSpace, OpenAIEmbedding
from forebay_workers.models.openai_endpoint import Endpoint
from forebay_workers.models.openai_generation import OpenAIGeneration

DIMENSIONS = 32
SECRET = "sk-very-secret"


@pytest.fixture(scope="module")
def running_server() -> Iterator[ModelServer]:
    with ModelServer.start(dimensions=DIMENSIONS) as server:
        yield server


@pytest.fixture
def server(running_server: ModelServer) -> ModelServer:
    running_server.behave()
    running_server.forget_calls()
    return running_server


def endpoint_of(server: ModelServer, timeout: float = 10.0) -> Endpoint:
    return Endpoint(server.base_url, SecretStr(SECRET), timeout)


@pytest.fixture
async def embedding(server: ModelServer) -> AsyncIterator[OpenAIEmbedding]:
    model = OpenAIEmbedding(endpoint_of(server), EmbeddingSpace("m", DIMENSIONS, 512))
    yield model
    await model.close()


@pytest.fixture
async def generation(server: ModelServer) -> AsyncIterator[OpenAIGeneration]:
    model = OpenAIGeneration(endpoint_of(server), "m")
    yield model
    await model.close()


def request_for(question: str = "What is blue?", **changes: object) -> GenerationRequest:
    passages = (
        PromptPassage("collections/c/documents/a", "Sky", "Colour", "The sky is blue."),
        PromptPassage("collections/c/documents/b", "Sea", "", "The sea is deep and blue."),
    )
    fields: dict[str, object] = {
        "question": question,
        "passages": passages,
        "model": "",
        "max_output_tokens": 200,
        "context_tokens": 4000,
    }
    return GenerationRequest(**(fields | changes))  # type: ignore[arg-type]


async def parts_of(model: OpenAIGeneration, request: GenerationRequest) -> list[AnswerPart]:
    return [part async for part in model.generate(request)]


def text_of(parts: list[AnswerPart]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


async def test_vectors_have_length_one_and_come_in_the_order_of_the_texts(
    server: ModelServer, embedding: OpenAIEmbedding
) -> None:
    texts = [f"text number {index}" for index in range(130)]
    rows = await embedding.embed(texts)
    server.behave(vectors="reversed")
    assert rows.shape == (130, DIMENSIONS)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.array_equal(await embedding.embed(texts), rows)
    assert np.allclose((await embedding.embed(texts[7:8]))[0], rows[7])
    digests = [digest for call in server.calls()["calls"] for digest in call["sha256"]]
    assert digests[129] == hashlib.sha256(texts[129].encode()).hexdigest()


@pytest.mark.parametrize("vectors", ["short", "nan", "zero", "missing"])
async def test_a_poisonous_vector_never_reaches_the_caller(
    server: ModelServer, embedding: OpenAIEmbedding, vectors: str
) -> None:
    server.behave(vectors=vectors)
    with pytest.raises(ModelReplyInvalid):
        await embedding.embed(["one", "two"])


@pytest.mark.parametrize("malformed", ["json", "shape"])
async def test_a_malformed_reply_is_an_invalid_reply(
    server: ModelServer,
    embedding: OpenAIEmbedding,
    generation: OpenAIGeneration,
    malformed: str,
) -> None:
    server.behave(malformed=malformed)
    with pytest.raises(ModelReplyInvalid):
        await embedding.embed(["one"])
    with pytest.raises(ModelReplyInvalid):
        await parts_of(generation, request_for())


async def test_a_text_without_any_visible_character_is_refused_before_it_is_sent(
    server: ModelServer, embedding: OpenAIEmbedding
) -> None:
    with pytest.raises(ValueError, match="visible"):
        await embedding.embed(["text", " \n"])
    assert server.calls()["embeddings"] == 0


async def test_a_429_says_when_to_come_back_and_is_not_retried_behind_the_callers_back(
    server: ModelServer, embedding: OpenAIEmbedding, generation: OpenAIGeneration
) -> None:
    server.behave(throttle_first=2, retry_after_seconds=2.5)
    with pytest.raises(ModelThrottled) as embedding_refusal:
        await embedding.embed(["one"])
    with pytest.raises(ModelThrottled) as generation_refusal:
        await parts_of(generation, request_for())
    assert embedding_refusal.value.retry_after == 2.5
    assert generation_refusal.value.retry_after == 2.5
    assert (await embedding.embed(["one"])).shape == (1, DIMENSIONS)
    assert [call["status"] for call in server.calls()["calls"]] == [429, 429, 200]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, ModelUnavailable),
        (503, ModelUnavailable),
        (408, ModelUnavailable),
        (400, ModelRefused),
        (401, ModelRefused),
        (404, ModelRefused),
    ],
)
async def test_a_status_tells_passing_trouble_from_a_refusal(
    server: ModelServer,
    embedding: OpenAIEmbedding,
    generation: OpenAIGeneration,
    status: int,
    error: type[ModelError],
) -> None:
    server.behave(refuse_status=status)
    with pytest.raises(error) as first:
        await embedding.embed(["one"])
    with pytest.raises(error):
        await parts_of(generation, request_for())
    assert first.value.retryable == (error is ModelUnavailable)


async def test_errors_carry_neither_the_key_nor_the_prompt(
    server: ModelServer, generation: OpenAIGeneration
) -> None:
    server.behave(refuse_status=400)
    with pytest.raises(ModelRefused) as refusal:
        await parts_of(generation, request_for("the secret question"))
    told = repr(refusal.value) + str(refusal.value.__cause__)
    assert SECRET not in told
    assert "secret question" not in told
    assert refusal.value.__suppress_context__


async def test_nobody_listening_is_unavailable() -> None:
    endpoint = Endpoint("http://127.0.0.1:9/v1", SecretStr(""), 5.0)
    generation = OpenAIGeneration(endpoint, "m")
    with pytest.raises(ModelUnavailable):
        await parts_of(generation, request_for())
    await generation.close()


async def test_an_answer_streams_with_citations_usage_and_an_end(
    generation: OpenAIGeneration,
) -> None:
    parts = await parts_of(generation, request_for())
    answer = text_of(parts)
    marks = [part for part in parts if isinstance(part, CitationMark)]
    cited = [(mark.passage, answer.encode()[mark.start : mark.end].decode()) for mark in marks]
    assert answer == "The sky is blue. The sea is deep and blue."
    assert cited == [(0, "The sky is blue"), (1, "The sea is deep and blue")]
    assert isinstance(parts[-2], TokenUsage)
    assert parts[-2].output_tokens > 0
    assert parts[-1] == Finished(FinishReason.STOP)


async def test_deltas_arrive_while_the_model_still_writes(
    server: ModelServer, generation: OpenAIGeneration
) -> None:
    server.behave(tokens_per_second=10, answer_tokens=1000)
    start = time.monotonic()
    async with aclosing(generation.generate(request_for())) as parts:
        assert isinstance(await anext(parts), TextDelta)
    assert time.monotonic() - start < 5
    assert await left(server) == "disconnected"


async def test_an_answer_that_reached_its_limit_says_so(
    server: ModelServer, generation: OpenAIGeneration
) -> None:
    server.behave(answer_tokens=5)
    assert (await parts_of(generation, request_for()))[-1] == Finished(FinishReason.LENGTH)


async def test_usage_is_estimated_where_the_endpoint_does_not_say(
    server: ModelServer, generation: OpenAIGeneration
) -> None:
    server.behave(usage=False)
    [usage] = [
        part for part in await parts_of(generation, request_for()) if isinstance(part, TokenUsage)
    ]
    assert usage.input_tokens > 50
    assert usage.output_tokens > 5


@pytest.mark.parametrize("misbehaviour", [{"cut_after_chunks": 3}, {"unfinished": True}])
async def test_a_stream_that_ends_early_is_unavailable_and_never_looks_complete(
    server: ModelServer, generation: OpenAIGeneration, misbehaviour: dict[str, object]
) -> None:
    server.behave(**misbehaviour)
    seen: list[AnswerPart] = []

    async def read() -> None:
        async for part in generation.generate(request_for()):
            seen.append(part)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(ModelUnavailable):
        await read()
    assert text_of(seen)
    assert not any(isinstance(part, Finished) for part in seen)


@pytest.mark.parametrize("hang", ["before", "midway"])
async def test_a_silent_endpoint_is_unavailable_once_its_time_is_over(
    server: ModelServer, hang: str
) -> None:
    server.behave(hang=hang)
    generation = OpenAIGeneration(endpoint_of(server, timeout=0.3), "m")
    with pytest.raises(ModelUnavailable, match="silent"):
        await parts_of(generation, request_for())
    await generation.close()


async def left(server: ModelServer) -> str:
    """Return how the one call ended, as soon as the server knows."""
    async with asyncio.timeout(5):
        while server.calls()["running"]:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.01)
    return str(server.calls()["calls"][0]["outcome"])


async def test_cancelling_the_reader_closes_the_connection_at_once(
    server: ModelServer, generation: OpenAIGeneration
) -> None:
    server.behave(tokens_per_second=50, answer_tokens=100_000)
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in generation.generate(request_for()):
            begun.set()

    reader = asyncio.create_task(read())
    await begun.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert await left(server) == "disconnected"


async def test_a_deadline_of_the_caller_closes_the_connection_too(
    server: ModelServer, generation: OpenAIGeneration
) -> None:
    server.behave(hang="before")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(parts_of(generation, request_for()), 0.2)
    assert await left(server) == "disconnected"


async def test_without_passages_no_model_is_called(
    server: ModelServer, generation: OpenAIGeneration
) -> None:
    parts = await parts_of(generation, request_for(passages=()))
    assert parts[-1] == Finished(FinishReason.NO_EVIDENCE)
    assert server.calls()["chat"] == 0


async def test_the_request_names_the_model_and_the_server_sees_the_bare_question(
    server: ModelServer, generation: OpenAIGeneration
) -> None:
    parts = await parts_of(generation, request_for("Say canary-77 twice?", model="large"))
    [call] = server.calls()["calls"]
    assert call["model"] == "large"
    assert call["sha256"] == [hashlib.sha256(b"Say canary-77 twice?").hexdigest()]
    assert text_of(parts).startswith("canary-77.")


async def test_two_hundred_slow_answers_run_side_by_side(
    server: ModelServer, generation: OpenAIGeneration
) -> None:
    server.behave(first_token_seconds=1.0)
    start = time.monotonic()
    answers = await asyncio.gather(*(parts_of(generation, request_for()) for _ in range(200)))
    assert all(parts[-1] == Finished(FinishReason.STOP) for parts in answers)
    assert time.monotonic() - start < 30  # one after another they would take 200 s
