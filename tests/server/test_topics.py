import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
)

from forebay_kafka.settings import MAX_RECORD_BYTES, KafkaSettings
from forebay_kafka.topic_admin import TopicAdmin, TopicsRefused
from forebay_kafka.topic_plan import FoundTopic, TopicSettings, plan_topic, topic_config
from forebay_kafka.topics import TOPICS, TopicSpec
from forebay_server.command import main
from forebay_standalone.broker import KafkaBroker

from .conftest import free_port

SIZES = TopicSettings(document_partitions=3, query_partitions=3, letter_partitions=1)
DOCUMENTS, ANSWERS = (
    next(spec for spec in TOPICS if spec.name == f"forebay.{name}.v1")
    for name in ("documents", "answers")
)


@pytest.fixture
def empty_broker(tmp_path: Any) -> Iterator[KafkaBroker]:
    broker = KafkaBroker(tmp_path / "kafka", free_port())
    broker.start()
    try:
        broker.wait_ready()
        yield broker
    finally:
        broker.stop()


def config_of(client: AdminClient, topic: str) -> dict[str, str]:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    [answer] = client.describe_configs([resource]).values()
    return {name: entry.value for name, entry in answer.result(10).items()}


def until(happened: Callable[[], bool]) -> None:
    # A broker shows a change a moment after its controller took it.
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline


def test_an_empty_cluster_is_planned_applied_and_checked(
    empty_broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    servers = empty_broker.bootstrap_servers
    monkeypatch.setenv("FOREBAY_KAFKA_BOOTSTRAP_SERVERS", servers)
    monkeypatch.setenv("FOREBAY_TOPICS_DOCUMENT_PARTITIONS", "3")
    client = AdminClient({"bootstrap.servers": servers})

    assert main(["topics", "check"]) == 1
    assert main(["topics", "plan"]) == 0
    assert "forebay.documents.v1: missing: 3 partitions, 1 copies" in capsys.readouterr().out
    assert not set(client.list_topics(timeout=10).topics) & {spec.name for spec in TOPICS}

    assert main(["topics", "apply"]) == 0
    assert main(["topics", "check"]) == 0
    assert capsys.readouterr().out.endswith("the topics are as declared\n")
    for spec in TOPICS:
        found = config_of(client, spec.name)
        assert found.items() >= topic_config(spec, 1).items()

    # Somebody shortens how long answers live, by hand.
    shorter = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    drifted = ConfigResource(ConfigResource.Type.TOPIC, ANSWERS.name, incremental_configs=[shorter])
    client.incremental_alter_configs([drifted])[drifted].result(10)
    until(lambda: config_of(client, ANSWERS.name)["retention.ms"] == "1000")
    assert main(["topics", "check"]) == 1
    assert "retention.ms is 1000, should be 86400000" in capsys.readouterr().out
    assert main(["topics", "apply"]) == 0
    assert main(["topics", "check"]) == 0
    assert config_of(client, ANSWERS.name)["retention.ms"] == "86400000"

    # And then gives documents more partitions, which nobody takes back.
    client.create_partitions([NewPartitions(DOCUMENTS.name, 4)])[DOCUMENTS.name].result(10)
    until(lambda: len(client.list_topics(timeout=10).topics[DOCUMENTS.name].partitions) == 4)
    assert main(["topics", "check"]) == 1
    assert main(["topics", "apply"]) == 1
    assert "never changed in place" in capsys.readouterr().err


def test_an_existing_topic_is_compared_and_not_resized() -> None:
    found = FoundTopic(2, 3, topic_config(DOCUMENTS, 2))
    plan = plan_topic(DOCUMENTS, SIZES, found, brokers=3)
    assert plan.config == {}
    assert len(plan.fixed) == 1
    assert "has 2 partitions, should have 3" in plan.fixed[0]


@pytest.mark.parametrize(("brokers", "copies", "insync"), [(1, 1, 1), (2, 2, 1), (5, 3, 2)])
def test_a_new_topic_has_three_copies_where_there_are_three_brokers(
    brokers: int, copies: int, insync: int
) -> None:
    plan = plan_topic(DOCUMENTS, SIZES, None, brokers)
    assert (plan.replication, plan.config["min.insync.replicas"]) == (copies, str(insync))


@pytest.mark.parametrize("spec", TOPICS, ids=lambda spec: spec.name)
def test_every_topic_takes_the_largest_record_and_forgets_as_declared(spec: TopicSpec) -> None:
    config = topic_config(spec, 1)
    assert config["max.message.bytes"] == str(MAX_RECORD_BYTES)
    policies = set(config["cleanup.policy"].split(","))
    assert ("compact" in policies) == spec.compacted
    assert ("delete" in policies) == (spec.retention is not None) == ("retention.ms" in config)
    assert (config["message.timestamp.type"] == "LogAppendTime") == spec.log_append_time


def test_a_write_cannot_wait_for_more_copies_than_there_are() -> None:
    with pytest.raises(ValueError, match="min_insync"):
        TopicSettings(replication=2, min_insync=3)


def test_a_cluster_that_cannot_hold_the_copies_says_so(kafka: KafkaSettings) -> None:
    wanted = TopicSettings(document_partitions=3, query_partitions=3, replication=3)
    with pytest.raises(TopicsRefused, match="has 1 copies, should have 3"):
        TopicAdmin(kafka, wanted).apply()
