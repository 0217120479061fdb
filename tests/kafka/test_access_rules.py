"""What the contract gives a stage, the broker lets it do; and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError

from forebay_kafka.settings import CredentialsInvalid, KafkaSettings
from forebay_kafka.stages import STAGES
from forebay_kafka.topic_admin import TopicAdmin
from forebay_kafka.topic_plan import TopicSettings
from forebay_kafka.topics import TOPICS
from forebay_standalone.broker import KafkaBroker
from forebay_standalone.broker_security import CLIENTS, Accounts, security_settings
from forebay_standalone.broker_settings import cluster_members
from forebay_standalone.ports import free_port

from .log_access import reads, refusal, written

ACCOUNTS = Accounts({user: f"{user}-password" for user in ("admin", "node", *STAGES)})
PRINCIPALS = {stage: f"User:{stage}" for stage in STAGES}
TOPIC_SETTINGS = TopicSettings(
    document_partitions=1, query_partitions=1, letter_partitions=1, principals=PRINCIPALS
)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    port = free_port()
    [member] = cluster_members(1)
    secured = security_settings(ACCOUNTS, {CLIENTS: port}, member.voters[member.node_id])
    folder = tmp_path_factory.mktemp("secured")
    broker = KafkaBroker(folder, port, member=member, settings=secured)
    broker.start()
    try:
        broker.wait_ready()
        admin = TopicAdmin(settings(broker, "admin"), TOPIC_SETTINGS)
        admin.apply()
        # The first writer waits until partitions and coordinators have their leaders.
        as_admin = settings(broker, "admin").client_options()
        assert set(written(as_admin, [spec.name for spec in TOPICS]).values()) == {None}
        yield broker
    finally:
        broker.stop()


def settings(broker: KafkaBroker, user: str) -> KafkaSettings:
    options: dict[str, str | int | bool] = {**ACCOUNTS.client_options(user)}
    return KafkaSettings(bootstrap_servers=broker.bootstrap_servers, options=options)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_writes_what_the_contract_gives_it_and_nothing_else(
    broker: KafkaBroker, stage: str
) -> None:
    expected = {
        spec.name: None if STAGES[stage] in spec.writers else KafkaError.TOPIC_AUTHORIZATION_FAILED
        for spec in TOPICS
    }
    assert written(settings(broker, stage).client_options(), expected) == expected


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_what_the_contract_gives_it_and_nothing_else(
    broker: KafkaBroker, stage: str
) -> None:
    expected = {
        spec.name: None if STAGES[stage] in spec.readers else KafkaError.TOPIC_AUTHORIZATION_FAILED
        for spec in TOPICS
    }
    assert reads(settings(broker, stage).client_options(), expected) == expected


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "edge"])
def test_a_stage_joins_its_own_group_and_no_other(broker: KafkaBroker, stage: str) -> None:
    topic = next(spec.name for spec in TOPICS if STAGES[stage] in spec.readers)
    for group in (other for other in STAGES if other != "edge"):
        joined = joins(broker, stage, f"forebay.{group}", topic)
        assert joined == (group == stage), f"{stage} in the group of {group}"


def joins(broker: KafkaBroker, user: str, group: str, topic: str) -> bool:
    assigned: list[bool] = []
    consumer = Consumer({**settings(broker, user).client_options(), "group.id": group})
    try:
        consumer.subscribe([topic], on_assign=lambda *_: assigned.append(True))
        while not assigned:
            message = consumer.poll(0.1)
            error = message.error() if message is not None else None
            if error is not None:
                assert error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
                return False
    finally:
        consumer.close()
    return True


def test_without_a_password_nobody_comes_in(broker: KafkaBroker) -> None:
    strangers = Accounts({"edge": "guessed"})
    options = {
        "bootstrap.servers": broker.bootstrap_servers,
        **strangers.client_options("edge"),
    }
    assert refusal(options) == KafkaError._AUTHENTICATION


def test_rules_that_were_changed_by_hand_are_shown_and_mended(broker: KafkaBroker) -> None:
    fewer = {stage: name for stage, name in PRINCIPALS.items() if stage != "chunking"}
    surplus = TOPIC_SETTINGS.model_copy(update={"principals": {**fewer, "edge": "User:chunking"}})
    changed = TopicAdmin(settings(broker, "admin"), surplus)
    plan = changed.plan()
    assert any(line.startswith("surplus: User:chunking") for line in plan)
    assert any(line.startswith("missing: User:chunking") for line in plan)
    changed.apply()
    assert changed.plan() == []
    usual = TopicAdmin(settings(broker, "admin"), TOPIC_SETTINGS)
    assert usual.plan()
    usual.apply()
    assert usual.plan() == []


def test_each_part_of_a_program_signs_in_with_its_own_account(tmp_path: Path) -> None:
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps({"edge": {"username": "e", "password": "secret"}}))
    options: dict[str, str | int | bool] = {"sasl.mechanism": "PLAIN"}
    settings = KafkaSettings(bootstrap_servers="b", options=options, credentials_file=file)
    signed_in = settings.acting_as("edge").client_options()
    assert (signed_in["sasl.username"], signed_in["sasl.password"]) == ("e", "secret")
    with pytest.raises(CredentialsInvalid, match="no account for `embedding`"):
        settings.acting_as("embedding")


@pytest.mark.parametrize(
    "content", ["", "[]", '{"edge": {"username": "e"}}', '{"edge": {"password": "secret"}}']
)
def test_a_file_of_accounts_that_is_none_is_named_without_its_secrets(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "accounts.json"
    file.write_text(content)
    with pytest.raises(CredentialsInvalid, match=r"accounts\.json") as refused:
        KafkaSettings(bootstrap_servers="b", credentials_file=file).acting_as("edge")
    assert "secret" not in str(refused.value)
