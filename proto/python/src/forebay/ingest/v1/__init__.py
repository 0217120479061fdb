"""Everything in the proto package `forebay.ingest.v1`. Generated; do not edit."""

from .document_pb2 import Document
from .ingest_service_pb2 import DeleteDocumentRequest, GetDocumentRequest, IngestDocumentRequest, ListDocumentsRequest, ListDocumentsResponse, StreamDocumentsRequest, StreamDocumentsResponse, UpdateDocumentRequest
from .ingest_service_pb2_grpc import IngestServiceServicer, IngestServiceStub, add_IngestServiceServicer_to_server

__all__ = [
    "DeleteDocumentRequest",
    "Document",
    "GetDocumentRequest",
    "IngestDocumentRequest",
    "IngestServiceServicer",
    "IngestServiceStub",
    "ListDocumentsRequest",
    "ListDocumentsResponse",
    "StreamDocumentsRequest",
    "StreamDocumentsResponse",
    "UpdateDocumentRequest",
    "add_IngestServiceServicer_to_server",
]
