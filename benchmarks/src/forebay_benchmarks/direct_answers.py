"""The baseline of Ask: the same libraries called one after another in one process, without a log.

It embeds the question, searches Postgres under the same permissions and streams from the same
model server; it has no Kafka, no gRPC, no envelope, and forgets everything when it dies.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from pydantic import SecretStr

from forebay.policy.v1 import Visibility
from forebay_benchmarks.child import AsyncMeasure
from forebay_benchmarks.errors import CallFailed
from forebay_benchmarks.load import closed_loop
from forebay_benchmarks.samples import Sample
from forebay_postgres import (
    FoundPassage,
    Permissions,
    PostgresSettings,
    Retriever,
    open_retrieve_pool,
)
from forebay_workers.models.generation_model import GenerationRequest, PromptPassage, TextDelta
from forebay_workers.models.openai_endpoint import Endpoint
from forebay_workers.models.openai_generation import OpenAIGeneration
from forebay_workers.models.wordllama_embedding import WordllamaEmbedding

_TOP_K = 10  # the edge's default
_OUTPUT_TOKENS, _CONTEXT_TOKENS = 1024, 4096  # the policy file's defaults


@dataclass(frozen=True)
class DirectAnswers:
    """What is asked, of whom, and on whose behalf."""

    retrieve_dsn: str
    model_url: str
    model: str
    tenant: str
    question: str
    askers: int
    model_seconds: float
    ramp_seconds: float


@asynccontextmanager
async def direct_answers(config: DirectAnswers) -> AsyncIterator[AsyncMeasure]:
    """Yield what measures the time to the first delta, without the model's own."""
    pool = await open_retrieve_pool(PostgresSettings(retrieve_dsn=SecretStr(config.retrieve_dsn)))
    embedding = WordllamaEmbedding()
    generation = OpenAIGeneration(Endpoint(config.model_url, SecretStr(""), 20.0), config.model)
    retriever = Retriever(pool)
    index = await retriever.serving_index()
    permissions = Permissions(config.tenant, Visibility.VISIBILITY_CONFIDENTIAL)

    async def call() -> float:
        began = perf_counter()
        vector = (await embedding.embed([config.question]))[0].tolist()
        found = await retriever.search(permissions, index, config.question, vector, _TOP_K)
        reached = await _first_delta(generation, _request(config.question, found))
        return reached - began - config.model_seconds

    async def measure(seconds: float) -> Sample:
        return await closed_loop(
            call, callers=config.askers, seconds=seconds, ramp_seconds=config.ramp_seconds
        )

    try:
        yield measure
    finally:
        await generation.close()
        await embedding.close()
        await pool.close()


async def _first_delta(generation: OpenAIGeneration, request: GenerationRequest) -> float:
    """Read a whole answer; when its first text came."""
    reached: float | None = None
    async with aclosing(generation.generate(request)) as parts:
        async for part in parts:
            if reached is None and isinstance(part, TextDelta):
                reached = perf_counter()
    if reached is None:
        raise CallFailed("the answer held no text")
    return reached


def _request(question: str, found: list[FoundPassage]) -> GenerationRequest:
    passages = tuple(
        PromptPassage(
            document=passage.key.document_id,
            title=passage.title,
            heading=" > ".join(passage.heading_path),
            text=passage.text,
        )
        for passage in found
    )
    return GenerationRequest(question, passages, "", _OUTPUT_TOKENS, _CONTEXT_TOKENS)
