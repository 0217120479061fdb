"""The Forebay client: ask questions and bring documents in, with asyncio or without."""

from forebay.client.answer import Answer
from forebay.client.async_answer_stream import AsyncAnswerStream
from forebay.client.async_client import AsyncClient
from forebay.client.document import IngestOutcome, NewDocument
from forebay.client.errors import (
    Aborted,
    DeadlineExceeded,
    DocumentFailed,
    DocumentSuperseded,
    FailedPrecondition,
    ForebayError,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    QueryCancelled,
    QueryFailed,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Violation,
)
from forebay.client.retry import RetryPolicy
from forebay.client.sync_client import AnswerStream, Client

__all__ = [
    "Aborted",
    "Answer",
    "AnswerStream",
    "AsyncAnswerStream",
    "AsyncClient",
    "Client",
    "DeadlineExceeded",
    "DocumentFailed",
    "DocumentSuperseded",
    "FailedPrecondition",
    "ForebayError",
    "IngestOutcome",
    "Internal",
    "InvalidArgument",
    "NewDocument",
    "NotFound",
    "PermissionDenied",
    "QueryCancelled",
    "QueryFailed",
    "ResourceExhausted",
    "RetryPolicy",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Violation",
]
