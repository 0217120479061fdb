"""What a call wants to change about who may read a document."""

from __future__ import annotations

from forebay.ingest.v1 import UpdateDocumentRequest
from forebay.policy.v1 import Visibility
from forebay.records.v1 import DocumentUpdate
from forebay_server.errors import ClearanceTooLow


def access_change(
    request: UpdateDocumentRequest, clearance: Visibility.ValueType
) -> DocumentUpdate.Access:
    """The change that the mask names, as the log keeps it; an unset visibility is CONFIDENTIAL.

    Raises ClearanceTooLow when the new visibility is above the writer's clearance.
    """
    document, paths = request.document, frozenset(request.update_mask.paths)
    change = DocumentUpdate.Access()
    if "visibility" in paths:
        change.visibility = document.visibility or Visibility.VISIBILITY_CONFIDENTIAL
        if change.visibility > clearance:
            raise ClearanceTooLow(clearance, change.visibility)
    if "readers" in paths:
        change.readers.groups.extend(document.readers)
        change.readers.SetInParent()
    if "labels" in paths:
        change.labels.labels.update(document.labels)
        change.labels.SetInParent()
    return change
