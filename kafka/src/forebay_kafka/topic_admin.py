"""Brings the topics of a cluster to what the contract declares."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import confluent_kafka
from confluent_kafka.admin import AdminClient

# The public module re-exports these without saying so, which type checkers refuse.
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.cimpl import NewTopic

from forebay_kafka.acl_admin import AclAdmin
from forebay_kafka.admin_result import TIMEOUT_SECONDS, TopicsRefused, result
from forebay_kafka.errors import LogUnavailable
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topic_plan import FoundTopic, TopicPlan, TopicSettings, plan_topic
from forebay_kafka.topics import TOPICS

POLL_SECONDS = 0.05


class TopicAdmin:
    """Plans and applies topics; its calls block."""

    def __init__(self, kafka: KafkaSettings, topics: TopicSettings) -> None:
        self._client = AdminClient({**kafka.client_options()})
        self._settings = topics
        self._acls = AclAdmin(kafka, topics.principals)

    def plan(self) -> list[str]:
        """What differs from the contract, a line each. Raises LogUnavailable."""
        differences = [line for plan in self._plans() for line in plan.lines()]
        return [*differences, *self._acls.plan()]

    def apply(self) -> list[str]:
        """Create and configure topics and access rules; what was changed, a line each.

        Returns once the cluster shows the changes. Raises LogUnavailable, and TopicsRefused after
        everything that can be changed was.
        """
        plans = self._plans()
        missing = [plan for plan in plans if plan.missing]
        changed = [plan for plan in plans if plan.config and not plan.missing]
        self._create(missing)
        self._alter(changed)
        self._wait_until_shown()
        granted = self._acls.apply()
        fixed = [f"{plan.name}: {fact}" for plan in plans for fact in plan.fixed]
        if fixed:
            raise TopicsRefused("\n".join(fixed))
        return [*(line for plan in plans for line in plan.lines()), *granted]

    def _plans(self) -> list[TopicPlan]:
        metadata = self._metadata()
        existing = {spec.name for spec in TOPICS} & set(metadata.topics)
        configs = self._configs(sorted(existing))
        brokers = len(metadata.brokers)
        return [
            plan_topic(
                spec,
                self._settings,
                _found(metadata.topics[spec.name], configs[spec.name])
                if spec.name in existing
                else None,
                brokers,
            )
            for spec in TOPICS
        ]

    def _wait_until_shown(self) -> None:
        # A broker shows a change a moment after its controller took it.
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while any(plan.changes for plan in self._plans()):
            if time.monotonic() > deadline:
                raise LogUnavailable("the log does not show its changed topics in time")
            time.sleep(POLL_SECONDS)

    def _metadata(self) -> Any:  # noqa: ANN401 the client's ClusterMetadata has no public type
        try:
            return self._client.list_topics(timeout=TIMEOUT_SECONDS)
        except confluent_kafka.KafkaException as error:
            raise LogUnavailable("the log cannot be reached") from error

    def _configs(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        if not resources:
            return {}
        answers = self._client.describe_configs(resources, request_timeout=TIMEOUT_SECONDS)
        return {
            resource.name: {name: entry.value for name, entry in result(answer).items()}
            for resource, answer in answers.items()
        }

    def _create(self, plans: list[TopicPlan]) -> None:
        if not plans:
            return
        topics = [
            NewTopic(
                plan.name,
                num_partitions=plan.partitions,
                replication_factor=plan.replication,
                config=dict(plan.config),
            )
            for plan in plans
        ]
        answers = self._client.create_topics(topics, operation_timeout=TIMEOUT_SECONDS)
        for answer in answers.values():
            result(answer)

    def _alter(self, plans: list[TopicPlan]) -> None:
        if not plans:
            return
        resources = [_alteration(plan) for plan in plans]
        answers = self._client.incremental_alter_configs(resources, request_timeout=TIMEOUT_SECONDS)
        for answer in answers.values():
            result(answer)


def _alteration(plan: TopicPlan) -> ConfigResource:
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in plan.config.items()
    ]
    return ConfigResource(ConfigResource.Type.TOPIC, plan.name, incremental_configs=entries)


def _found(topic: Any, config: dict[str, str]) -> FoundTopic:  # noqa: ANN401 see _metadata
    copies = min(len(partition.replicas) for partition in topic.partitions.values())
    return FoundTopic(len(topic.partitions), copies, config)
