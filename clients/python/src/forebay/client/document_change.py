"""Changes of who may read a document, or of its labels."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from google.protobuf.field_mask_pb2 import FieldMask

from forebay.client.document import VisibilityName, visibility_value
from forebay.ingest.v1 import Document, UpdateDocumentRequest
from forebay.policy.v1 import Visibility


class DocumentChanges(TypedDict, total=False):
    """What changes; each is replaced whole, and what is left out stays as it is.

    Keys:
        visibility: who may read it.
        readers: groups that may read it; everybody with the clearance when empty.
        labels: what questions may filter by.
        etag: the change is refused (Aborted) unless the document still has it.
        request_id: a UUIDv7 of your own, for a retry that outlives this process.
    """

    visibility: VisibilityName | Visibility.ValueType
    readers: Sequence[str]
    labels: Mapping[str, str]
    etag: str
    request_id: str


CHANGEABLE = ("visibility", "readers", "labels")


def update_request(name: str, changes: DocumentChanges) -> UpdateDocumentRequest:
    """The contract's message.

    Raises:
        ValueError: nothing changes.
    """
    paths = [path for path in CHANGEABLE if path in changes]
    if not paths:
        raise ValueError("a change names visibility, readers or labels")
    document = Document(
        name=name,
        visibility=visibility_value(changes.get("visibility")),
        readers=changes.get("readers", ()),
        labels=changes.get("labels", {}),
        etag=changes.get("etag", ""),
    )
    return UpdateDocumentRequest(
        document=document,
        update_mask=FieldMask(paths=paths),
        request_id=changes.get("request_id", ""),
    )
