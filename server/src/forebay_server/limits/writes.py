"""Which methods are refused while calls cannot be counted."""

from __future__ import annotations

from google.protobuf.descriptor import ServiceDescriptor

from forebay.ingest.v1 import IngestDocumentRequest
from forebay.query.v1 import SubmitQueryRequest
from forebay_server.governance.authorisation import method_path


def _paths(service: ServiceDescriptor, *methods: str) -> frozenset[str]:
    # By descriptor: a method that the contract renames ends the start, not the limit.
    return frozenset(method_path(service.methods_by_name[method]) for method in methods)


# What costs money or fills the log. CancelQuery is left out: it ends costs.
WRITES = _paths(
    SubmitQueryRequest.DESCRIPTOR.file.services_by_name["QueryService"], "SubmitQuery", "Ask"
) | _paths(
    IngestDocumentRequest.DESCRIPTOR.file.services_by_name["IngestService"],
    "IngestDocument",
    "StreamDocuments",
    "UpdateDocument",
    "DeleteDocument",
)
