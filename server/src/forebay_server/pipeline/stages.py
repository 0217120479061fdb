"""The stages behind the edge, in the order of the pipeline, and what each reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.message import Message

from forebay.records.v1 import (
    AuditRecord,
    ChunkSet,
    ContextRecord,
    DocumentRecord,
    DocumentUpdate,
    QueryRecord,
    RetryRecord,
    Stage,
)
from forebay_kafka.stages import group_of, stage_word
from forebay_kafka.topics import topic_of


@dataclass(frozen=True)
class PipelineStage:
    """A stage and the records that its consumer group works on."""

    stage: Stage.ValueType
    reads: tuple[type[Message], ...]

    @property
    def word(self) -> str:
        """The stage as people write it: `embedding`."""
        return stage_word(self.stage)

    @property
    def group(self) -> str:
        """Its consumer group."""
        return group_of(self.stage)

    @property
    def topics(self) -> tuple[str, ...]:
        """The names of the topics that it works on, the one of its retries left out."""
        return tuple(topic_of(record).name for record in self.reads)

    @property
    def retries(self) -> bool:
        """Whether it puts records off, and takes back what an operator gives back."""
        return self.stage in topic_of(RetryRecord).readers


STAGES = (
    PipelineStage(Stage.STAGE_CATALOGUING, (DocumentRecord, DocumentUpdate)),
    PipelineStage(Stage.STAGE_CHUNKING, (DocumentRecord,)),
    PipelineStage(Stage.STAGE_EMBEDDING, (ChunkSet,)),
    PipelineStage(Stage.STAGE_RETRIEVAL, (QueryRecord,)),
    PipelineStage(Stage.STAGE_GENERATION, (ContextRecord,)),
    PipelineStage(Stage.STAGE_AUDITING, (AuditRecord, DocumentRecord, DocumentUpdate, QueryRecord)),
)
RETRIES_TOPIC = topic_of(RetryRecord).name
BY_STAGE: Mapping[Stage.ValueType, PipelineStage] = {each.stage: each for each in STAGES}


def group_topics() -> dict[str, Sequence[str]]:
    """The topics of every group, the one of its retries included."""
    return {
        each.group: (*each.topics, RETRIES_TOPIC) if each.retries else each.topics
        for each in STAGES
    }
