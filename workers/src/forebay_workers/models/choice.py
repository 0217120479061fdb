"""From settings to models: the only module here that names every implementation."""

from forebay_workers.models.embedding_model import EmbeddingModel
from forebay_workers.models.extractive_generation import ExtractiveGeneration
from forebay_workers.models.generation_model import GenerationModel
from forebay_workers.models.openai_embedding import EmbeddingSpace, OpenAIEmbedding
from forebay_workers.models.openai_endpoint import Endpoint
from forebay_workers.models.openai_generation import ChatDialect, OpenAIGeneration
from forebay_workers.models.settings import ModelSettings
from forebay_workers.models.wordllama_embedding import WordllamaEmbedding


def embedding_model(settings: ModelSettings) -> EmbeddingModel:
    """Make the embedding model that the settings name; loading weights takes up to a second."""
    if settings.embedding_provider == "wordllama":
        return WordllamaEmbedding()
    endpoint = Endpoint(
        base_url=settings.embedding_base_url,
        api_key=settings.embedding_api_key,
        timeout_seconds=settings.embedding_timeout,
    )
    space = EmbeddingSpace(
        model=settings.embedding_model,
        dimensions=settings.embedding_dimensions,
        window_tokens=settings.embedding_window_tokens,
        request_dimensions=settings.embedding_request_dimensions,
    )
    return OpenAIEmbedding(endpoint, space)


def generation_model(settings: ModelSettings) -> GenerationModel:
    """Make the generation model that the settings name."""
    if settings.generation_provider == "extractive":
        return ExtractiveGeneration()
    endpoint = Endpoint(
        base_url=settings.generation_base_url,
        api_key=settings.generation_api_key,
        timeout_seconds=settings.generation_timeout,
    )
    dialect = ChatDialect(
        completion_limit=settings.generation_completion_limit,
        temperature=settings.generation_temperature,
    )
    return OpenAIGeneration(endpoint, settings.generation_model, dialect)
