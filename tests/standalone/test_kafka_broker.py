from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from forebay_standalone.broker import KafkaBroker
from forebay_standalone.broker_security import ADMIN, CLIENTS, security_settings
from forebay_standalone.broker_settings import cluster_members
from forebay_standalone.cache import cache_folder
from forebay_standalone.cluster import broker_ports, brokers
from forebay_standalone.jars import kafka_classpath
from forebay_standalone.kafka_accounts import KafkaAccounts
from forebay_standalone.ports import free_port, remembered_ports

SECONDS = 20
Client = Mapping[str, str]  # its options, in librdkafka's words


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


def plain(broker: KafkaBroker) -> Client:
    return {"bootstrap.servers": broker.bootstrap_servers}


def create(client: Client, topic: str, replicas: int = 1) -> None:
    admin = AdminClient({**client})
    created = admin.create_topics([NewTopic(topic, 1, replicas)], operation_timeout=SECONDS)
    created[topic].result(SECONDS)


def write(client: Client, topic: str, value: bytes) -> None:
    producer = Producer({**client, "acks": "all", "message.max.bytes": 9 << 20})
    failures: list[object] = []
    producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(SECONDS) == 0
    assert failures == [None]


def read(client: Client, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({**client, "group.id": "reader"})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return [message.value() or b"" for message in consumer.consume(count, SECONDS)]
    finally:
        consumer.close()


@pytest.mark.slow_faults
def test_records_survive_a_clean_restart_and_a_kill(broker: KafkaBroker) -> None:
    create(plain(broker), "kept")
    write(plain(broker), "kept", b"before the restart")
    broker.stop()
    start(broker)
    write(plain(broker), "kept", b"before the kill")
    broker.kill()
    start(broker)
    assert read(plain(broker), "kept", 2) == [b"before the restart", b"before the kill"]


def test_a_record_of_eight_mebibytes_is_taken(broker: KafkaBroker) -> None:
    create(plain(broker), "large")
    write(plain(broker), "large", bytes(8 << 20))
    assert [len(value) for value in read(plain(broker), "large", 1)] == [8 << 20]


def test_topics_are_not_made_by_writing_to_them(broker: KafkaBroker) -> None:
    admin = AdminClient({**plain(broker)})
    admin.list_topics("missing", timeout=SECONDS)
    assert "missing" not in admin.list_topics(timeout=SECONDS).topics


def test_a_suspended_broker_answers_nothing_until_resumed(broker: KafkaBroker) -> None:
    admin = AdminClient({**plain(broker)})
    broker.suspend()
    with pytest.raises(KafkaException):
        admin.list_topics(timeout=0.5)
    broker.resume()
    assert list(admin.list_topics(timeout=SECONDS).brokers) == [1]


@pytest.mark.slow_faults
def test_formatting_that_was_cut_off_begins_again(folder: Path) -> None:
    (folder / "kafka" / "data.new").mkdir(parents=True)
    (folder / "kafka" / "data.new" / "meta.properties").write_text("half")
    broker = KafkaBroker(folder / "kafka", free_port())
    try:
        start(broker)
    finally:
        broker.kill()
    assert "half" not in (folder / "kafka" / "data" / "meta.properties").read_text()


@pytest.mark.slow_faults
def test_a_cluster_of_three_takes_writes_after_it_lost_one(folder: Path) -> None:
    names = broker_ports(3)
    ports = remembered_ports(folder / "ports.json", names)
    accounts = KafkaAccounts(folder / "secrets").accounts
    members = brokers(folder, folder, ports, 3, accounts, lambda: kafka_classpath(cache_folder()))
    with ExitStack() as stack:
        for broker in members:
            stack.callback(broker.kill)
            broker.start()
        for broker in members:
            broker.wait_ready()
        client = {
            "bootstrap.servers": ",".join(broker.bootstrap_servers for broker in members),
            **accounts.client_options(ADMIN),
        }
        create(client, "replicated", 3)
        members[2].kill()
        write(client, "replicated", b"two are in sync")
        assert read(client, "replicated", 1) == [b"two are in sync"]


@pytest.mark.slow_faults
def test_a_log_that_is_older_than_its_accounts_keeps_its_records(folder: Path) -> None:
    port = free_port()
    [member] = cluster_members(1)
    open_to_all = KafkaBroker(folder / "kafka", port, member=member)
    accounts = KafkaAccounts(folder / "secrets").accounts
    secured = security_settings(accounts, {CLIENTS: port}, member.voters[member.node_id])
    closed = KafkaBroker(folder / "kafka", port, member=member, settings=secured)
    with ExitStack() as stack:
        stack.callback(open_to_all.kill)
        start(open_to_all)
        create(plain(open_to_all), "kept")
        write(plain(open_to_all), "kept", b"from before")
        open_to_all.stop()
        stack.callback(closed.kill)
        start(closed)
        client = {**plain(closed), **accounts.client_options(ADMIN)}
        assert read(client, "kept", 1) == [b"from before"]
