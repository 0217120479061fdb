"""Documents and what the catalogue says about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from forebay_postgres.stored_text import (
    require_all_storable,
    require_storable,
    require_storable_labels,
)


@dataclass(frozen=True, slots=True, order=True)
class DocumentKey:
    """One document of one tenant. The collection is its own id, never an alias of a shared one."""

    tenant: str
    collection: str
    document_id: str

    def __post_init__(self) -> None:
        require_all_storable("name", (self.tenant, self.collection, self.document_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentVersion:
    """One version of a document as it was accepted, without its content.

    `version` is a UUIDv7: the highest one wins. `visibility` and `writer_clearance` are numbers of
    forebay.policy.v1.Visibility (1 PUBLIC, 2 INTERNAL, 3 CONFIDENTIAL); `writer_clearance` is that
    of whoever wrote this version, and has to cover the visibility it replaces.
    """

    tenant: str
    collection: str
    document_id: str
    version: UUID
    title: str
    mime_type: str
    source_uri: str
    visibility: int
    readers: tuple[str, ...]
    labels: Mapping[str, str]
    accept_time: datetime
    writer_clearance: int

    def __post_init__(self) -> None:
        require_storable("title", self.title)
        require_storable("mime_type", self.mime_type)
        require_storable("source_uri", self.source_uri)
        require_all_storable("readers", self.readers)
        require_storable_labels(self.labels)

    @property
    def key(self) -> DocumentKey:
        """The document that this is a version of."""
        return DocumentKey(self.tenant, self.collection, self.document_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessUpdate:
    """A change of visibility, readers or labels without new content; None leaves a field alone."""

    key: DocumentKey
    version: UUID
    accept_time: datetime
    writer_clearance: int
    visibility: int | None = None
    readers: tuple[str, ...] | None = None
    labels: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        require_all_storable("readers", self.readers or ())
        require_storable_labels(self.labels or {})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a version is not found: a google.rpc code, a reason of ErrorReason, and one sentence."""

    code: int
    reason: str
    message: str

    def __post_init__(self) -> None:
        require_all_storable("error", (self.reason, self.message))


class Outcome(StrEnum):
    """What became of a write."""

    ACCEPTED = "ACCEPTED"  # it is the newest, now or since an earlier delivery
    SUPERSEDED = "SUPERSEDED"  # a newer version was there before
    DELETED = "DELETED"  # a deletion at this version or after it was there before
    REFUSED = "REFUSED"  # its writer lacked the clearance for what it would have replaced


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a write, and who won when it lost.

    `lost` are versions that were replaced or deleted and still have their content in the log.
    """

    outcome: Outcome
    by: UUID | None = None
    lost: tuple[UUID, ...] = ()
    failure: Failure | None = None

    @property
    def accepted(self) -> bool:
        """Whether the write stands."""
        return self.outcome is Outcome.ACCEPTED


class DocumentState(StrEnum):
    """How far a version has come; the names are those of forebay.ingest.v1.Document.State."""

    ACCEPTED = "ACCEPTED"
    INDEXED = "INDEXED"
    FAILED = "FAILED"
    SUPERSEDED = "SUPERSEDED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class VersionState:
    """How far one version has come, who superseded or deleted it, or why it failed."""

    state: DocumentState
    by: UUID | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A document as its reader sees it; `collection` is the name under which it was asked for.

    `indexed_version` is the one that questions find; it is older than `version` while that waits.
    `revision` changes with every accepted change of content or access.
    """

    key: DocumentKey
    version: UUID
    state: DocumentState
    title: str
    mime_type: str
    source_uri: str
    visibility: int
    readers: tuple[str, ...]
    labels: Mapping[str, str]
    indexed_version: UUID | None
    revision: UUID
    create_time: datetime
    update_time: datetime
    failure: Failure | None = field(default=None)
