"""A question into passages: its vector, the serving index, and the asker's permissions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from forebay.query.v1 import SubmitQueryRequest
from forebay_kafka.identity import Identity
from forebay_postgres.errors import IndexWithdrawn
from forebay_postgres.indexes import Index
from forebay_postgres.permissions import Permissions
from forebay_postgres.retriever import FoundPassage, Ranking, Retriever
from forebay_workers.models.embedding_model import EmbeddingModel
from forebay_workers.models.paid_vectors import PaidVectors, Vector


class Search:
    """Searches the serving index with one embedding model."""

    def __init__(
        self, retriever: Retriever, model: EmbeddingModel, ranking: Ranking = Ranking.HYBRID
    ) -> None:
        self._retriever = retriever
        self._model = model
        self._ranking = ranking
        self._index: Index | None = None
        self._paid = PaidVectors()

    async def passages(
        self, request: SubmitQueryRequest, identity: Identity
    ) -> Sequence[FoundPassage]:
        """What the asker may read for the question, best first.

        Raises the errors of the embedding model, DatabaseUnavailable, ServingIndexMissing and
        IndexWithdrawn; after the last one the next call pins the index anew.
        """
        if self._index is None:
            self._index = await self._retriever.serving_index()
        digest = hashlib.sha256(request.text.encode()).digest()
        row = await self._vector(identity.tenant, digest, request.text)
        collections = [name.removeprefix("collections/") for name in request.collections]
        try:
            found = await self._retriever.search(
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
        self._paid.used(identity.tenant, [digest])
        return found

    async def _vector(self, tenant: str, digest: bytes, text: str) -> Vector:
        # A search that has to be tried again pays for its question once.
        known = self._paid.known(tenant, [digest]).get(digest)
        if known is not None:
            return known
        row: Vector = (await self._model.embed([text]))[0]
        self._paid.keep(tenant, digest, row)
        return row
