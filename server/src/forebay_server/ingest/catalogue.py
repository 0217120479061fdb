"""The catalogue as documents of the contract."""

from __future__ import annotations

from uuid import UUID

from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from forebay.ingest.v1 import Document, ListDocumentsRequest, ListDocumentsResponse
from forebay.policy.v1 import Visibility
from forebay_kafka.failure import DOMAIN
from forebay_postgres import (
    CatalogueEntry,
    CatalogueReader,
    DocumentKey,
    DocumentState,
    Failure,
    Permissions,
    SharedCollection,
    VersionState,
)
from forebay_server.errors import DocumentNotFound, EtagMismatch, FieldInvalid, Violation
from forebay_server.governance.caller import Caller
from forebay_server.governance.shares import require_own
from forebay_server.ingest.page_tokens import PageTokens

DEFAULT_PAGE = 100


class DocumentCatalogue:
    """Reads documents as a caller may see them; what it may not see is as if it were absent."""

    def __init__(self, reader: CatalogueReader, page_tokens: PageTokens) -> None:
        self._reader = reader
        self._page_tokens = page_tokens

    async def newest(self, caller: Caller, name: str) -> Document:
        """The newest version. Raises DocumentNotFound, or IndexUnavailable's kind of errors."""
        entry = await self._reader.get(_permissions(caller), _key(caller, name))
        if entry is None:
            raise DocumentNotFound
        return _document(entry)

    async def version(self, caller: Caller, name: str, etag: str) -> Document:
        """What became of one version; of one that is not the newest, its state alone.

        Raises DocumentNotFound, also for a version that is deleted or not yet known.
        """
        version = _version(etag)
        key, permissions = _key(caller, name), _permissions(caller)
        entry = await self._reader.get(permissions, key)
        if entry is not None and version in (entry.version, entry.revision):
            return _document(entry)
        found = await self._reader.get_version_state(permissions, key, version)
        if found is None or found.state is DocumentState.DELETED:
            raise DocumentNotFound
        return _former(name, etag, found)

    async def require_etag(self, caller: Caller, name: str, etag: str) -> None:
        """Raise EtagMismatch, or DocumentNotFound, unless the document has that etag now.

        What others share is no document of the caller's: CollectionReadOnly.
        """
        require_own(caller.grants, name)
        current = await self.newest(caller, name)
        if current.etag != etag:
            raise EtagMismatch(current.etag)

    async def page(self, caller: Caller, request: ListDocumentsRequest) -> ListDocumentsResponse:
        """A page of a collection's documents, by name. Raises PageTokenInvalid."""
        size = request.page_size or DEFAULT_PAGE
        after = self._page_tokens.last_id(caller.tenant, request.parent, request.page_token)
        collection = request.parent.split("/")[1]
        # One more than asked for tells whether there is a next page.
        entries = await self._reader.list(_permissions(caller), collection, size + 1, after or None)
        page = ListDocumentsResponse(documents=[_document(entry) for entry in entries[:size]])
        if len(entries) > size:
            last = entries[size - 1].key.document_id
            page.next_page_token = self._page_tokens.behind(caller.tenant, request.parent, last)
        return page


def _permissions(caller: Caller) -> Permissions:
    shared = tuple(
        SharedCollection(grant.alias, grant.tenant, grant.collection) for grant in caller.grants
    )
    return Permissions(caller.tenant, caller.clearance, caller.groups, shared)


def _key(caller: Caller, name: str) -> DocumentKey:
    _, collection, _, document = name.split("/")
    return DocumentKey(caller.tenant, collection, document)


def _version(etag: str) -> UUID:
    try:
        return UUID(etag)
    except ValueError as error:
        raise FieldInvalid(Violation("etag", "uuid", "must be a document's etag")) from error


def _document(entry: CatalogueEntry) -> Document:
    document = Document(
        name=f"collections/{entry.key.collection}/documents/{entry.key.document_id}",
        title=entry.title,
        mime_type=entry.mime_type,
        visibility=Visibility.ValueType(entry.visibility),
        readers=entry.readers,
        labels=entry.labels,
        source_uri=entry.source_uri,
        etag=str(entry.revision),
        state=_state(entry.state),
        error=_error(entry.failure),
    )
    document.create_time.FromDatetime(entry.create_time)
    document.update_time.FromDatetime(entry.update_time)
    return document


def _former(name: str, etag: str, found: VersionState) -> Document:
    return Document(
        name=name,
        etag=etag,
        state=_state(found.state),
        superseded_by=str(found.by or ""),
        error=_error(found.failure),
    )


def _state(state: DocumentState) -> Document.State.ValueType:
    return Document.State.Value(f"STATE_{state}")


def _error(failure: Failure | None) -> Status | None:
    if failure is None:
        return None
    info = Any()
    info.Pack(ErrorInfo(reason=failure.reason, domain=DOMAIN))
    return Status(code=failure.code, message=failure.message, details=[info])
