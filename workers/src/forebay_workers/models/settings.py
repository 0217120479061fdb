"""Which models the workers use, from FOREBAY_* environment variables."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class ModelSettings(BaseSettings):
    """The embedding and the generation model; the defaults need no network."""

    model_config = SettingsConfigDict(env_prefix="FOREBAY_", frozen=True, protected_namespaces=())

    embedding_provider: Literal["wordllama", "openai"] = "wordllama"
    embedding_base_url: str = ""
    embedding_api_key: SecretStr = SecretStr("")
    embedding_model: str = ""
    embedding_dimensions: int = Field(default=0, ge=0, le=16_000)  # pgvector stores no more
    embedding_request_dimensions: bool = False
    embedding_window_tokens: int = Field(default=512, ge=128)  # the smallest window in wide use
    embedding_concurrency: int = Field(default=8, ge=1)  # beyond it a tenant only waits in line
    embedding_timeout: float = Field(default=30.0, gt=0)  # seconds of silence; a batch takes 1-5

    generation_provider: Literal["extractive", "openai"] = "extractive"
    generation_base_url: str = ""
    generation_api_key: SecretStr = SecretStr("")
    generation_model: str = ""
    generation_completion_limit: bool = False
    generation_temperature: float | None = Field(default=None, ge=0, le=2)
    generation_timeout: float = Field(default=60.0, gt=0)  # seconds of silence; first tokens lag

    @model_validator(mode="after")
    def _openai_needs_an_endpoint(self) -> Self:
        missing: list[str] = []
        if self.embedding_provider == "openai":
            missing += self._unset("embedding_base_url", "embedding_model", "embedding_dimensions")
        if self.generation_provider == "openai":
            missing += self._unset("generation_base_url", "generation_model")
        if missing:
            message = f"the provider `openai` also needs {', '.join(missing)}"
            raise ValueError(message)
        return self

    def _unset(self, *fields: str) -> list[str]:
        return [f"FOREBAY_{field.upper()}" for field in fields if not getattr(self, field)]
