from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from forebay_standalone.broker import KafkaBroker
from forebay_standalone.broker_settings import cluster_members
from forebay_standalone.ports import free_port

SECONDS = 20


@pytest.fixture(scope="module")
def broker(shared_folder: Path) -> Iterator[KafkaBroker]:
    broker = KafkaBroker(shared_folder / "kafka", free_port())
    with ExitStack() as stack:
        stack.callback(broker.kill)
        start(broker)
        yield broker


def start(broker: KafkaBroker) -> None:
    broker.start()
    broker.wait_ready()


def create(servers: str, topic: str, replicas: int = 1) -> None:
    admin = AdminClient({"bootstrap.servers": servers})
    created = admin.create_topics([NewTopic(topic, 1, replicas)], operation_timeout=SECONDS)
    created[topic].result(SECONDS)


def write(servers: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": servers, "acks": "all", "message.max.bytes": 9 << 20})
    failures: list[object] = []
    producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(SECONDS) == 0
    assert failures == [None]


def read(servers: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "reader"})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return [message.value() or b"" for message in consumer.consume(count, SECONDS)]
    finally:
        consumer.close()


def test_records_survive_a_clean_restart_and_a_kill(broker: KafkaBroker) -> None:
    create(broker.bootstrap_servers, "kept")
    write(broker.bootstrap_servers, "kept", b"before the restart")
    broker.stop()
    start(broker)
    write(broker.bootstrap_servers, "kept", b"before the kill")
    broker.kill()
    start(broker)
    assert read(broker.bootstrap_servers, "kept", 2) == [b"before the restart", b"before the kill"]


def test_a_record_of_eight_mebibytes_is_taken(broker: KafkaBroker) -> None:
    create(broker.bootstrap_servers, "large")
    write(broker.bootstrap_servers, "large", bytes(8 << 20))
    assert [len(value) for value in read(broker.bootstrap_servers, "large", 1)] == [8 << 20]


def test_topics_are_not_made_by_writing_to_them(broker: KafkaBroker) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.list_topics("missing", timeout=SECONDS)
    assert "missing" not in admin.list_topics(timeout=SECONDS).topics


def test_a_suspended_broker_answers_nothing_until_resumed(broker: KafkaBroker) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    broker.suspend()
    with pytest.raises(KafkaException):
        admin.list_topics(timeout=0.5)
    broker.resume()
    assert list(admin.list_topics(timeout=SECONDS).brokers) == [1]


def test_formatting_that_was_cut_off_begins_again(folder: Path) -> None:
    (folder / "kafka" / "data.new").mkdir(parents=True)
    (folder / "kafka" / "data.new" / "meta.properties").write_text("half")
    broker = KafkaBroker(folder / "kafka", free_port())
    try:
        start(broker)
    finally:
        broker.kill()
    assert "half" not in (folder / "kafka" / "data" / "meta.properties").read_text()


def test_a_cluster_of_three_takes_writes_after_it_lost_one(folder: Path) -> None:
    members = cluster_members(3)
    brokers = [KafkaBroker(folder / str(m.node_id), free_port(), member=m) for m in members]
    with ExitStack() as stack:
        for broker in brokers:
            stack.callback(broker.kill)
            broker.start()
        for broker in brokers:
            broker.wait_ready()
        servers = ",".join(broker.bootstrap_servers for broker in brokers)
        create(servers, "replicated", 3)
        brokers[2].kill()
        write(servers, "replicated", b"two are in sync")
        assert read(servers, "replicated", 1) == [b"two are in sync"]
