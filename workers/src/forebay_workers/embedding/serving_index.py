"""The index that this worker fills, registered once the database can be reached."""

from __future__ import annotations

import asyncio

from forebay_postgres.indexes import IndexRegistry
from forebay_workers.models.embedding_model import EmbeddingModel


class ServingIndex:
    """Knows the id of the serving index of one model and one way of cutting text."""

    def __init__(self, registry: IndexRegistry, model: EmbeddingModel, chunking: str) -> None:
        self._registry = registry
        self._model = model
        self._chunking = chunking
        self._id: str | None = None
        self._registering = asyncio.Lock()

    async def id(self) -> str:
        """The id. Raises DatabaseUnavailable, and ServingIndexMismatch where another serves."""
        async with self._registering:
            if self._id is None:
                index = await self._registry.ensure_serving_index(
                    self._model.name, self._model.dimensions, self._chunking
                )
                self._id = index.id
            return self._id

    def forget(self) -> None:
        """Ask anew next time: the index is no more."""
        self._id = None
