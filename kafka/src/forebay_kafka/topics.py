"""The topics of the log, as the record messages of the contract declare them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from google.protobuf.message import Message

from forebay.records.v1 import (
    AnswerRecord,
    AuditRecord,
    ChunkSet,
    ContextRecord,
    DeadLetter,
    DocumentRecord,
    DocumentUpdate,
    Header,
    QueryRecord,
    RetryRecord,
    Stage,
    StageReport,
    Topic,
    UsageRecord,
    header_name,
    topic,
)


@dataclass(frozen=True)
class TopicSpec:
    """A topic: which record it carries, for how long, and who writes and reads it.

    `retention` is None where the newest record of each key is kept for ever.
    """

    record: type[Message]
    name: str
    cleanup: Topic.Cleanup.ValueType
    retention: timedelta | None
    family: Topic.Family.ValueType
    writers: frozenset[Stage.ValueType]
    readers: frozenset[Stage.ValueType]
    log_append_time: bool

    @property
    def compacted(self) -> bool:
        """Whether a null value is a tombstone here, and not poison."""
        return self.cleanup in (Topic.CLEANUP_COMPACT, Topic.CLEANUP_COMPACT_DELETE)


def _spec(record: type[Message]) -> TopicSpec:
    declared = record.DESCRIPTOR.GetOptions().Extensions[topic]
    hours = declared.retention_hours
    return TopicSpec(
        record=record,
        name=declared.name,
        cleanup=declared.cleanup,
        retention=timedelta(hours=hours) if hours else None,
        family=declared.family,
        writers=frozenset(declared.writers),
        readers=frozenset(declared.readers),
        log_append_time=declared.log_append_time,
    )


TOPICS = tuple(
    _spec(record)
    for record in (
        DocumentRecord,
        DocumentUpdate,
        ChunkSet,
        QueryRecord,
        ContextRecord,
        AnswerRecord,
        RetryRecord,
        UsageRecord,
        AuditRecord,
        DeadLetter,
        StageReport,
    )
)
_BY_RECORD = {spec.record: spec for spec in TOPICS}
_BY_NAME = {spec.name: spec for spec in TOPICS}


def topic_of(record: type[Message] | Message) -> TopicSpec:
    """The topic that carries a record; KeyError for a message that is no record."""
    return _BY_RECORD[record if isinstance(record, type) else type(record)]


def topic_named(name: str) -> TopicSpec:
    """The topic of that name; KeyError where the contract has none."""
    return _BY_NAME[name]


def _header(value: Header.ValueType) -> str:
    options = Header.DESCRIPTOR.values_by_number[value].GetOptions()
    return str(options.Extensions[header_name])


IDENTITY_HEADER = _header(Header.HEADER_IDENTITY)
RECORD_TYPE_HEADER = _header(Header.HEADER_RECORD_TYPE)
TRACE_PARENT_HEADER = _header(Header.HEADER_TRACE_PARENT)
