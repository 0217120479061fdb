"""Who may do what to the log: what the contract's options say, as access rules of Kafka.

A stage writes the topics that name it as a writer and reads those that name it as a reader, in its
own consumer group, and nothing else. The edge also sees offsets of all, to tell how far stages
are. Nothing here talks to a broker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from forebay.records.v1 import Stage
from forebay_kafka.polling import UNUSED_GROUP
from forebay_kafka.stages import GROUP_PREFIX, STAGES, group_of
from forebay_kafka.topics import TopicSpec


class Resource(Enum):
    """What a grant is about."""

    TOPIC = "topic"
    GROUP = "group"


class Operation(Enum):
    """What a grant allows; reading and writing include describing."""

    READ = "read"
    WRITE = "write"
    DESCRIBE = "describe"


@dataclass(frozen=True, order=True)
class Grant:
    """One access rule; `prefixed` says that `name` is the beginning of names."""

    principal: str
    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False

    def __str__(self) -> str:
        """The rule as a line for people."""
        star = "*" if self.prefixed else ""
        where = f"{self.resource.value} {self.name}{star}"
        return f"{self.principal} may {self.operation.value} {where}"


def grants(specs: Iterable[TopicSpec], principals: Mapping[str, str]) -> frozenset[Grant]:
    """The grants of the stages that have a principal (`User:…`), by the stage's word."""
    return frozenset(
        grant
        for word, principal in principals.items()
        for grant in _grants_of(STAGES[word], principal, tuple(specs))
    )


def _grants_of(
    stage: Stage.ValueType, principal: str, specs: tuple[TopicSpec, ...]
) -> Iterator[Grant]:
    for spec in specs:
        if stage in spec.writers:
            yield Grant(principal, Resource.TOPIC, spec.name, Operation.WRITE)
        if stage in spec.readers:
            yield Grant(principal, Resource.TOPIC, spec.name, Operation.READ)
    # A reader that picks its own offsets belongs to no group, but librdkafka names one.
    yield Grant(principal, Resource.GROUP, UNUSED_GROUP, Operation.READ)
    if stage != Stage.STAGE_EDGE:
        yield Grant(principal, Resource.GROUP, group_of(stage), Operation.READ)
        return
    yield Grant(principal, Resource.GROUP, GROUP_PREFIX, Operation.DESCRIBE, prefixed=True)
    for spec in specs:
        yield Grant(principal, Resource.TOPIC, spec.name, Operation.DESCRIBE)
