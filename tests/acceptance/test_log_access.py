"""On one machine too, the log gives each stage what the contract does, and strangers nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from forebay_kafka.settings import KafkaSettings
from forebay_kafka.stages import STAGES
from forebay_kafka.topics import TOPICS, TopicSpec
from forebay_standalone.system import System

from ..kafka.log_access import Options, reads, refusal, written  # noqa: TID252 tests are no package

REFUSED = KafkaError.TOPIC_AUTHORIZATION_FAILED


def options(system: System, user: str) -> Options:
    return {"bootstrap.servers": system.addresses.kafka, **system.kafka_login(user)}


def topics(allowed: Callable[[TopicSpec], bool]) -> list[str]:
    return [spec.name for spec in TOPICS if allowed(spec)]


@pytest.mark.parametrize("stage", STAGES)
def test_the_log_refuses_a_stage_what_the_contract_does_not_give_it(
    system: System, stage: str
) -> None:
    as_stage, value = options(system, stage), STAGES[stage]
    unwritable = topics(lambda spec: value not in spec.writers)
    assert unwritable
    assert written(as_stage, unwritable) == dict.fromkeys(unwritable, REFUSED)
    expected = {spec.name: None if value in spec.readers else REFUSED for spec in TOPICS}
    assert reads(as_stage, expected) == expected


def test_the_log_lets_nobody_in_who_has_no_account(system: System) -> None:
    guessed = {**options(system, "edge"), "sasl.password": "guessed"}
    assert refusal(guessed) == KafkaError._AUTHENTICATION
    in_clear = {"bootstrap.servers": system.addresses.kafka, "log_level": 0}
    assert refusal(in_clear) in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)


def test_a_program_is_told_the_accounts_of_its_own_parts_alone(system: System) -> None:
    worked = dict(system.options.sizes.programs)
    for name, stages in {"edge": ("edge",), **worked}.items():
        env = system.programs[name].program.env
        file = Path(env["FOREBAY_KAFKA_CREDENTIALS_FILE"])
        assert set(json.loads(file.read_text())) == set(stages)
        assert not any(system.kafka_login(stage)["sasl.password"] in str(env) for stage in STAGES)
        own = KafkaSettings(bootstrap_servers="b", credentials_file=file).acting_as(stages[0])
        assert own.options["sasl.username"] == stages[0]


def test_nobody_else_can_read_a_password_of_the_log(system: System) -> None:
    secret = system.kafka_login("edge")["sasl.password"].encode()
    files = [path for path in system.state.path.rglob("*") if path.is_file()]
    holding = [path for path in files if path.stat().st_size < 1 << 20 and _holds(path, secret)]
    assert {path.name for path in holding} >= {"kafka-edge", "server.properties"}
    assert {path.stat().st_mode & 0o777 for path in holding} == {0o600}


def _holds(path: Path, secret: bytes) -> bool:
    return secret in path.read_bytes()
