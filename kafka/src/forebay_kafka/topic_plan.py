"""What the topics of the log should be, and how a cluster differs from it.

Nothing here talks to a broker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from forebay.records.v1 import Topic
from forebay_kafka.settings import MAX_RECORD_BYTES
from forebay_kafka.stages import STAGES
from forebay_kafka.topics import TopicSpec

USUAL_REPLICATION = 3  # one copy may be lost while another is down for maintenance
MIN_COMPACTION_LAG = timedelta(hours=1)  # a stage that is a little behind still reads every version
MAX_COMPACTION_LAG = timedelta(days=1)  # the content of a deleted document is gone soon after
TOMBSTONE_LIFE = timedelta(days=7)  # a stage that was away for a week still hears of every end
CLEANUP_POLICIES = {
    Topic.CLEANUP_DELETE: "delete",
    Topic.CLEANUP_COMPACT: "compact",
    Topic.CLEANUP_COMPACT_DELETE: "compact,delete",
}
SEGMENTS_PER_RETENTION = 4  # the log forgets by segment: at most a quarter later than it should
# A broker looks every five minutes for what it should forget (log.retention.check.interval.ms),
# by a clock of its own.
FORGETTING = timedelta(hours=1)


class TopicSettings(BaseSettings):
    """Sizes of the topics, from variables that begin with FOREBAY_TOPICS_.

    Without `replication` a new topic has three copies, or as many as there are brokers; without
    `min_insync` a write waits for all copies but one. `principals` names the Kafka principal of
    each stage by the stage's word, as JSON: `{"edge": "User:forebay-edge", …}`; without it, access
    rules are left alone.
    """

    model_config = SettingsConfigDict(env_prefix="FOREBAY_TOPICS_", frozen=True)

    document_partitions: int = Field(default=12, ge=1, le=10_000)
    query_partitions: int = Field(default=12, ge=1, le=10_000)
    letter_partitions: int = Field(default=3, ge=1, le=10_000)
    replication: int | None = Field(default=None, ge=1, le=32)
    min_insync: int | None = Field(default=None, ge=1, le=32)
    principals: dict[str, str] = {}

    @field_validator("principals")
    @classmethod
    def _of_known_stages(cls, principals: dict[str, str]) -> dict[str, str]:
        unknown = sorted(set(principals) - set(STAGES))
        if unknown:
            raise ValueError(f"there is no stage {', '.join(unknown)}")
        if not all(name.startswith("User:") for name in principals.values()):
            raise ValueError("a principal begins with User:")
        return principals

    @model_validator(mode="after")
    def _writable(self) -> Self:
        if self.replication and self.min_insync and self.min_insync > self.replication:
            raise ValueError("min_insync must not be above replication")
        return self

    def partitions(self, family: Topic.Family.ValueType) -> int:
        """How many partitions the topics of a family have."""
        return {
            Topic.FAMILY_DOCUMENTS: self.document_partitions,
            Topic.FAMILY_QUERIES: self.query_partitions,
            Topic.FAMILY_LETTERS: self.letter_partitions,
        }[family]

    def copies(self, brokers: int) -> int:
        """The replication of a new topic in a cluster of that many brokers."""
        return self.replication or min(USUAL_REPLICATION, brokers)

    def insync(self, replication: int) -> int:
        """How many copies a write waits for, of a topic that has `replication` of them."""
        return self.min_insync or max(replication - 1, 1)


@dataclass(frozen=True)
class FoundTopic:
    """A topic as the cluster has it."""

    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True)
class TopicPlan:
    """What differs for one topic.

    `missing` is one to create with `config`; of an existing one `config` holds the values to set,
    and `fixed` says what nobody changes in place.
    """

    name: str
    missing: bool = False
    partitions: int = 0
    replication: int = 0
    config: Mapping[str, str] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The differences, a line each."""
        return [f"{self.name}: {change}" for change in (*self.changes, *self.fixed)]


def plan_topic(
    spec: TopicSpec, settings: TopicSettings, found: FoundTopic | None, brokers: int
) -> TopicPlan:
    """Compare a declared topic with the one that the cluster has, if it has one."""
    partitions = settings.partitions(spec.family)
    if found is None:
        return _creation(spec, settings, partitions, settings.copies(brokers))
    wanted = topic_config(spec, settings.insync(found.replication))
    changed = {name: value for name, value in wanted.items() if found.config.get(name) != value}
    return TopicPlan(
        name=spec.name,
        config=changed,
        changes=tuple(
            f"{name} is {found.config.get(name)}, should be {value}"
            for name, value in changed.items()
        ),
        fixed=_fixed(settings, found, partitions),
    )


def topic_config(spec: TopicSpec, min_insync: int) -> dict[str, str]:
    """The configuration of a topic, in the broker's own words (Kafka's topic-level settings)."""
    config = {
        "cleanup.policy": CLEANUP_POLICIES[spec.cleanup],
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "message.timestamp.type": "LogAppendTime" if spec.log_append_time else "CreateTime",
        "min.insync.replicas": str(min_insync),
    }
    if spec.compacted:
        config["min.compaction.lag.ms"] = _milliseconds(MIN_COMPACTION_LAG)
        config["max.compaction.lag.ms"] = _milliseconds(MAX_COMPACTION_LAG)
        config["delete.retention.ms"] = _milliseconds(TOMBSTONE_LIFE)
    if spec.retention is not None:
        config["retention.ms"] = _milliseconds(spec.retention)
        config["segment.ms"] = _milliseconds(spec.retention / SEGMENTS_PER_RETENTION)
    return config


def longest_kept(spec: TopicSpec) -> timedelta:
    """After how long at most a record is gone from the log; the longest time where some stay."""
    if spec.retention is None:
        return timedelta.max
    return spec.retention + spec.retention / SEGMENTS_PER_RETENTION + FORGETTING


def _creation(
    spec: TopicSpec, settings: TopicSettings, partitions: int, replication: int
) -> TopicPlan:
    return TopicPlan(
        name=spec.name,
        missing=True,
        partitions=partitions,
        replication=replication,
        config=topic_config(spec, settings.insync(replication)),
        changes=(f"missing: {partitions} partitions, {replication} copies",),
    )


def _fixed(settings: TopicSettings, found: FoundTopic, partitions: int) -> tuple[str, ...]:
    fixed = []
    if found.partitions != partitions:
        fixed.append(
            f"has {found.partitions} partitions, should have {partitions}: the count is never "
            "changed in place, because keys would move to other partitions"
        )
    if settings.replication and found.replication != settings.replication:
        fixed.append(
            f"has {found.replication} copies, should have {settings.replication}: reassign its "
            "partitions with the broker's own tools"
        )
    return tuple(fixed)


def _milliseconds(time: timedelta) -> str:
    return str(int(time.total_seconds() * 1000))
