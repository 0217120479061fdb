"""Everything in the proto package `forebay.query.v1`. Generated; do not edit."""

from .passage_pb2 import Citation, Passage, Span
from .usage_pb2 import Usage
from .answer_event_pb2 import AnswerEvent
from .caller_pb2 import Caller
from .query_pb2 import Query
from .query_service_pb2 import AskRequest, CancelQueryRequest, GetCallerRequest, GetQueryRequest, StreamAnswerRequest, SubmitQueryRequest
from .query_service_pb2_grpc import QueryServiceServicer, QueryServiceStub, add_QueryServiceServicer_to_server

__all__ = [
    "AnswerEvent",
    "AskRequest",
    "Caller",
    "CancelQueryRequest",
    "Citation",
    "GetCallerRequest",
    "GetQueryRequest",
    "Passage",
    "Query",
    "QueryServiceServicer",
    "QueryServiceStub",
    "Span",
    "StreamAnswerRequest",
    "SubmitQueryRequest",
    "Usage",
    "add_QueryServiceServicer_to_server",
]
