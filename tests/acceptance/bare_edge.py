"""The services of an edge without the client's help, and tokens of all tiers."""

from datetime import timedelta
from typing import Any

from forebay.ingest.v1 import Document, IngestDocumentRequest
from forebay.query.v1 import SubmitQueryRequest
from forebay_standalone.issuer import DevelopmentIssuer, every_scope

from .raw_calls import Services, bearer


class Edge(Services):
    """Both services over one bare channel, and a token of each tier."""

    def __init__(self, channel: Any, tokens: dict[str, str]) -> None:
        super().__init__(channel)
        self.channel = channel
        self.tokens = tokens

    async def submit(self, tier: str = "enterprise", **fields: Any) -> object:
        request = SubmitQueryRequest(**{"text": "Who?", **fields})
        return await self.queries.SubmitQuery(request, metadata=bearer(self.tokens[tier]))

    async def ingest(
        self,
        document: dict[str, Any] | None = None,
        tier: str = "enterprise",
        **fields: Any,
    ) -> object:
        request = IngestDocumentRequest(
            parent=fields.get("parent", "collections/plant"),
            document_id=fields.get("document_id", "weir"),
            request_id=fields.get("request_id", ""),
            document=Document(**{"text": "The weir.", **(document or {})})
            if document is None or "raw" not in document
            else Document(**document),
        )
        return await self.documents.IngestDocument(request, metadata=bearer(self.tokens[tier]))


def mint(issuer: DevelopmentIssuer, tenant: str, tier: str, **changed: Any) -> str:
    return issuer.mint(
        tenant,
        "somebody",
        tier,
        changed.get("scopes", every_scope()),
        (),
        changed.get("expires_in", timedelta(minutes=10)),
    )
