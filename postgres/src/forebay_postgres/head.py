"""The head of a document, and the rules by which versions, updates and deletions meet on it.

Pure functions: a head and a write go in, the next head and a verdict come out. Whoever handles a
version first, cataloguing or indexing, asks the same rule. The highest version wins, never the last
to arrive; a deletion beats every version up to its own, for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from google.rpc.code_pb2 import Code

from forebay.errors.v1 import ErrorReason
from forebay_postgres.documents import AccessUpdate, DocumentVersion, Failure, Outcome, Verdict

_REFUSED = Failure(
    code=Code.PERMISSION_DENIED,
    reason=ErrorReason.Name(ErrorReason.ERROR_REASON_CLEARANCE_TOO_LOW).removeprefix(
        "ERROR_REASON_"
    ),
    message="The writer's clearance does not cover the document that this would have replaced.",
)


@dataclass(frozen=True, slots=True)
class Head:
    """The head row of one document; field for field the columns of forebay.documents.

    Each of visibility, readers and labels remembers the version that set it, so that an update and
    a new version give the same result in either order. `kept_versions` are those that cataloguing
    has read and not ended in the log: the living one, and what has lost since.
    """

    newest_version: UUID | None = None
    deleted_version: UUID | None = None
    kept_versions: tuple[UUID, ...] = ()
    title: str = ""
    mime_type: str = ""
    source_uri: str = ""
    visibility: int | None = None
    visibility_version: UUID | None = None
    readers: tuple[str, ...] = ()
    readers_version: UUID | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    labels_version: UUID | None = None
    failed_version: UUID | None = None
    error_code: int | None = None
    error_reason: str | None = None
    error_message: str | None = None
    create_time: datetime | None = None
    update_time: datetime | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a document: a version was accepted and no deletion covers it."""
        return _is_after(self.newest_version, self.deleted_version)


def accept(head: Head, version: DocumentVersion) -> tuple[Head, Verdict]:
    """Make `version` the newest, unless a newer one or a deletion was there or clearance lacks."""
    if version.version == head.newest_version and head.exists:
        return head, Verdict(Outcome.ACCEPTED)
    if not _is_after(version.version, head.deleted_version):
        # Readership is kept even so: it decides who may be told that the document is gone.
        return _with_readership(head, version), Verdict(Outcome.DELETED, by=head.deleted_version)
    if not _is_after(version.version, head.newest_version):
        return head, Verdict(Outcome.SUPERSEDED, by=head.newest_version)
    if not _covers(version.writer_clearance, head):
        return head, Verdict(Outcome.REFUSED, failure=_REFUSED)
    accepted = replace(
        _with_access(head, version),
        newest_version=version.version,
        title=version.title,
        mime_type=version.mime_type,
        source_uri=version.source_uri,
        create_time=head.create_time if head.exists else version.accept_time,
        update_time=version.accept_time,
    )
    return accepted, Verdict(Outcome.ACCEPTED)


def update(head: Head, change: AccessUpdate) -> tuple[Head, Verdict]:
    """Set the named fields, each unless something newer has set it."""
    if not _is_after(change.version, head.deleted_version):
        return head, Verdict(Outcome.DELETED, by=head.deleted_version)
    changed = _with_access(head, change)
    if changed is head:
        return head, Verdict(Outcome.ACCEPTED)
    if not _covers(change.writer_clearance, head):
        return head, Verdict(Outcome.REFUSED, failure=_REFUSED)
    return replace(changed, update_time=change.accept_time), Verdict(Outcome.ACCEPTED)


def delete(
    head: Head, version: UUID, *, writer_clearance: int, accept_time: datetime
) -> tuple[Head, Verdict]:
    """Remove what the document was up to `version`, and all that comes late."""
    if not _is_after(version, head.deleted_version):
        return head, Verdict(Outcome.ACCEPTED)
    if not _covers(writer_clearance, head):
        return head, Verdict(Outcome.REFUSED, failure=_REFUSED)
    deleted = replace(head, deleted_version=version, update_time=accept_time)
    if not deleted.exists:
        deleted = replace(deleted, title="", mime_type="", source_uri="")
    if not _is_after(head.labels_version, version):
        deleted = replace(deleted, labels={})
    return deleted, Verdict(Outcome.ACCEPTED)


def fail(head: Head, version: DocumentVersion, failure: Failure) -> tuple[Head, Verdict]:
    """Note why the newest version will not be found; for any other version nothing changes."""
    accepted, verdict = accept(head, version)
    if not verdict.accepted:
        return accepted, verdict
    failed = replace(
        accepted,
        failed_version=version.version,
        error_code=failure.code,
        error_reason=failure.reason,
        error_message=failure.message,
    )
    return failed, verdict


def keep(head: Head, version: UUID) -> Head:
    """Note that cataloguing has read `version`: from here on it has to end its content."""
    return replace(head, kept_versions=tuple(sorted({*head.kept_versions, version})))


def lost(head: Head) -> tuple[UUID, ...]:
    """The kept versions that are not and will not be the living one."""
    return tuple(
        version
        for version in head.kept_versions
        if _is_after(head.newest_version, version) or not _is_after(version, head.deleted_version)
    )


def _with_access(head: Head, change: DocumentVersion | AccessUpdate) -> Head:
    changed = _with_readership(head, change)
    if change.labels is not None and _is_after(change.version, head.labels_version):
        changed = replace(changed, labels=dict(change.labels), labels_version=change.version)
    return changed


def _with_readership(head: Head, change: DocumentVersion | AccessUpdate) -> Head:
    changed = head
    if change.visibility is not None and _is_after(change.version, head.visibility_version):
        changed = replace(changed, visibility=change.visibility, visibility_version=change.version)
    if change.readers is not None and _is_after(change.version, head.readers_version):
        changed = replace(changed, readers=change.readers, readers_version=change.version)
    return changed


def _is_after(version: UUID | None, other: UUID | None) -> bool:
    return version is not None and (other is None or version > other)


def _covers(writer_clearance: int, head: Head) -> bool:
    return not head.exists or head.visibility is None or head.visibility <= writer_clearance
