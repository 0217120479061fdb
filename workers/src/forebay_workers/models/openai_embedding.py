"""Embeddings from any endpoint that speaks OpenAI's `/v1/embeddings`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import openai
from numpy.typing import NDArray
from pydantic_core import from_json

from forebay_workers.models.errors import ModelReplyInvalid
from forebay_workers.models.openai_endpoint import Endpoint, client_of, translated_errors

_BATCH_TEXTS = 64  # texts a call: well under every known limit, and a lost call repeats little


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """The vector space asked for: the model's name, its vectors' length and its window.

    `request_dimensions` sends the length with each call, for models that can shorten vectors;
    others refuse the parameter.
    """

    model: str
    dimensions: int
    window_tokens: int
    request_dimensions: bool = False


class OpenAIEmbedding:
    """Calls an endpoint in batches and believes no reply unchecked."""

    def __init__(self, endpoint: Endpoint, space: EmbeddingSpace) -> None:
        """Connect lazily: nothing is sent before the first call."""
        self._client = client_of(endpoint)
        self._space = space
        self.name = f"openai/{space.model}-{space.dimensions}"
        self.dimensions = space.dimensions
        self.window_tokens = space.window_tokens

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `EmbeddingModel.embed`. Batches go one after another: the caller sets the width."""
        if not all(text.strip() for text in texts):
            message = "a text without any visible character has no embedding"
            raise ValueError(message)
        rows = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _BATCH_TEXTS):
            batch = list(texts[start : start + _BATCH_TEXTS])
            rows[start : start + len(batch)] = await self._embed_batch(batch)
        return rows

    async def _embed_batch(self, batch: list[str]) -> NDArray[np.float32]:
        width = self.dimensions if self._space.request_dimensions else openai.omit
        with translated_errors():
            reply = await self._client.embeddings.with_raw_response.create(
                model=self._space.model,
                input=batch,
                # The client's own default, base64, is not spoken by every endpoint.
                encoding_format="float",
                dimensions=width,
            )
            # The client's typed reply is made number by number: 250 ms of the event loop for 64
            # vectors of 1,024, where this takes 5 ms.
            items = from_json(reply.content)["data"]
            # By index, since the order of a reply is not promised.
            vectors = {item["index"]: item["embedding"] for item in items}
            ordered = [vectors[index] for index in range(len(batch))]
            surplus = len(items) - len(batch)
        return self._checked(ordered, surplus)

    def _checked(self, vectors: list[list[float]], surplus: int) -> NDArray[np.float32]:
        if surplus:
            message = "the model endpoint sent more vectors than texts"
            raise ModelReplyInvalid(message)
        if any(len(vector) != self.dimensions for vector in vectors):
            message = f"the model endpoint sent vectors of another length than {self.dimensions}"
            raise ModelReplyInvalid(message)
        with translated_errors():
            rows = np.asarray(vectors, dtype=np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or (lengths == 0).any():
            message = "the model endpoint sent a vector that is zero or not finite"
            raise ModelReplyInvalid(message)
        return np.asarray(rows / lengths, dtype=np.float32)

    async def close(self) -> None:
        """See `EmbeddingModel.close`."""
        await self._client.close()
