"""A question into passages: its vector, the serving index, and the asker's permissions."""

from __future__ import annotations

from collections.abc import Sequence

from forebay.query.v1 import SubmitQueryRequest
from forebay_kafka.identity import Identity
from forebay_postgres.errors import IndexWithdrawn
from forebay_postgres.indexes import Index
from forebay_postgres.permissions import Permissions
from forebay_postgres.retriever import FoundPassage, Ranking, Retriever
from forebay_workers.models.embedding_model import EmbeddingModel


class Search:
    """Searches the serving index with one embedding model."""

    def __init__(
        self, retriever: Retriever, model: EmbeddingModel, ranking: Ranking = Ranking.HYBRID
    ) -> None:
        self._retriever = retriever
        self._model = model
        self._ranking = ranking
        self._index: Index | None = None

    async def passages(
        self, request: SubmitQueryRequest, identity: Identity
    ) -> Sequence[FoundPassage]:
        """What the asker may read for the question, best first.

        Raises the errors of the embedding model, DatabaseUnavailable, ServingIndexMissing and
        IndexWithdrawn; after the last one the next call pins the index anew.
        """
        if self._index is None:
            self._index = await self._retriever.serving_index()
        row = (await self._model.embed([request.text]))[0]
        collections = [name.removeprefix("collections/") for name in request.collections]
        try:
            return await self._retriever.search(
                Permissions(identity.tenant, identity.clearance, identity.groups),
                self._index,
                request.text,
                row.tolist(),
                request.top_k,
                collections=collections or None,
                labels=dict(request.filter),
                ranking=self._ranking,
            )
        except IndexWithdrawn:
            self._index = None
            raise
