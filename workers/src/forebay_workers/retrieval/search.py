"""A question into passages: its vector, the serving index, and the asker's permissions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from forebay.query.v1 import SubmitQueryRequest
from forebay_kafka.envelope import Envelope
from forebay_postgres.errors import IndexWithdrawn
from forebay_postgres.indexes import Index
from forebay_postgres.permissions import Permissions, SharedCollection
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
        self, request: SubmitQueryRequest, envelope: Envelope
    ) -> Sequence[FoundPassage]:
        """What the asker may read for the question, by its proven envelope, best first.

        Raises the errors of the embedding model, DatabaseUnavailable, ServingIndexMissing and
        IndexWithdrawn; after the last one the next call pins the index anew.
        """
        if self._index is None:
            self._index = await self._retriever.serving_index()
        digest = hashlib.sha256(request.text.encode()).digest()
        tenant = envelope.identity.tenant
        row = await self._vector(tenant, digest, request.text)
        collections = [name.removeprefix("collections/") for name in request.collections]
        try:
            found = await self._retriever.search(
                _permissions(envelope),
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
        self._paid.used(tenant, [digest])
        return found

    async def _vector(self, tenant: str, digest: bytes, text: str) -> Vector:
        # A search that has to be tried again pays for its question once.
        known = self._paid.known(tenant, [digest]).get(digest)
        if known is not None:
            return known
        row: Vector = (await self._model.embed([text]))[0]
        self._paid.keep(tenant, digest, row)
        return row


def _permissions(envelope: Envelope) -> Permissions:
    identity = envelope.identity
    shared = tuple(
        SharedCollection(grant.alias, grant.tenant, grant.collection)
        for grant in envelope.statement.grants
    )
    return Permissions(identity.tenant, identity.clearance, identity.groups, shared)
