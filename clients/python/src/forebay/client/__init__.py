"""The Forebay client: ask questions and bring documents in, with asyncio or without."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
        PipelineOverloaded,
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
    "PipelineOverloaded",
    "QueryCancelled",
    "QueryFailed",
    "ResourceExhausted",
    "RetryPolicy",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Violation",
]

_MODULES = {
    "forebay.client.answer": ("Answer",),
    "forebay.client.async_answer_stream": ("AsyncAnswerStream",),
    "forebay.client.async_client": ("AsyncClient",),
    "forebay.client.document": (
        "IngestOutcome",
        "NewDocument",
    ),
    "forebay.client.errors": (
        "Aborted",
        "DeadlineExceeded",
        "DocumentFailed",
        "DocumentSuperseded",
        "FailedPrecondition",
        "ForebayError",
        "Internal",
        "InvalidArgument",
        "NotFound",
        "PermissionDenied",
        "PipelineOverloaded",
        "QueryCancelled",
        "QueryFailed",
        "ResourceExhausted",
        "Unauthenticated",
        "Unavailable",
        "Unimplemented",
        "Violation",
    ),
    "forebay.client.retry": ("RetryPolicy",),
    "forebay.client.sync_client": (
        "AnswerStream",
        "Client",
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Imports what is asked for (PEP 562).

    gRPC reads its environment when it is imported, and the command sets its own before.
    """
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)
