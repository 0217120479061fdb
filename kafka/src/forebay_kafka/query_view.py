"""A query as its events tell it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from forebay.query.v1 import AnswerEvent, Query


def query_of(name: str, events: Iterable[AnswerEvent]) -> Query:
    """The resource that the counted events of a query add up to (see `answer_fold`)."""
    query = Query(name=name, state=Query.STATE_QUEUED)
    for event in events:
        _apply(query, event)
    return with_etag(query)


def with_etag(query: Query) -> Query:
    """The query with the etag of everything else in it."""
    query.ClearField("etag")
    query.etag = hashlib.sha256(query.SerializeToString(deterministic=True)).hexdigest()[:16]
    return query


def _apply(query: Query, event: AnswerEvent) -> None:
    match event.WhichOneof("event"):
        case "accepted":
            query.text = event.accepted.text
            query.create_time.CopyFrom(event.time)
            query.expire_time.CopyFrom(event.accepted.expire_time)
        case "retrieved":
            query.state = Query.STATE_GENERATING
            query.passages.MergeFrom(event.retrieved.passages)
        case "delta":
            query.answer += event.delta.text
        case "citation":
            query.citations.append(event.citation)
        case "restarted":
            _forget_attempt(query)
        case "usage":
            query.usage.CopyFrom(event.usage)
        case "completed":
            query.state = Query.STATE_COMPLETED
            query.answer = event.completed.answer
        case "failed":
            query.state = Query.STATE_FAILED
            query.error.CopyFrom(event.failed.error)
        case "cancelled":
            query.state = Query.STATE_CANCELLED


def _forget_attempt(query: Query) -> None:
    query.state = Query.STATE_RETRIEVING
    for field in ("answer", "citations", "passages", "usage"):
        query.ClearField(field)
