"""What the environment says to a worker, and what becomes of it."""

from typing import Any

import pytest

from forebay_kafka.watched_file import ConfigurationInvalid
from forebay_workers.auditing.stage import Auditing
from forebay_workers.cataloguing.stage import Cataloguing
from forebay_workers.chunking.stage import Chunking
from forebay_workers.command import _configuration
from forebay_workers.composition import _group_options, _loop_settings
from forebay_workers.embedding.stage import Embedding
from forebay_workers.generation.stage import Generation
from forebay_workers.record_loop.settings import BreakerPolicy, RetryPolicy
from forebay_workers.retrieval.stage import Retrieval

ENVIRONMENT = {
    "FOREBAY_ENVELOPE_JWKS_FILE": "jwks.json",
    "FOREBAY_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def stage_of(kind: type) -> Any:
    return object.__new__(kind)


@pytest.mark.parametrize("kind", [Cataloguing, Chunking, Embedding, Auditing])
def test_stages_of_documents_have_a_retry_topic_and_a_breaker(kind: type) -> None:
    settings = _loop_settings(_configuration(), stage_of(kind))
    assert settings.retry.rounds == (30, 120, 600)
    assert settings.breaker == BreakerPolicy()


def test_auditing_alone_works_on_what_nobody_waits_for_any_more() -> None:
    stages = (Cataloguing, Chunking, Embedding, Retrieval, Generation, Auditing)
    configuration = _configuration()
    heeding = [_loop_settings(configuration, stage_of(kind)).heeds_deadlines for kind in stages]
    assert heeding == [True] * 5 + [False]


@pytest.mark.parametrize("kind", [Retrieval, Generation])
def test_stages_of_queries_try_in_place_alone_because_somebody_waits(kind: type) -> None:
    settings = _loop_settings(_configuration(), stage_of(kind))
    assert settings.retry.rounds == ()
    assert settings.breaker is None


def test_every_bound_can_be_set(environment: pytest.MonkeyPatch) -> None:
    values = {
        "RETRY_BUDGET": "10",
        "RETRY_FIRST_DELAY": "0.5",
        "RETRY_LONGEST_DELAY": "2",
        "RETRY_UNKNOWN_ATTEMPTS": "7",
        "RETRY_ROUNDS": "1, 2.5",
        "BREAKER_RECORDS": "50",
        "BREAKER_SHARE": "0.9",
        "CALL_TIMEOUT": "33",
        "STUCK_LIMIT": "44",
        "MAX_IN_FLIGHT": "3",
        "MAX_UNCOMMITTED_RECORDS": "1234",
        "MAX_HELD_BYTES": "10000000",
        "DRAIN_TIMEOUT": "5",
        "GROUP_INSTANCE_ID": "worker-1",
        "GROUP_PROTOCOL": "consumer",
    }
    for name, value in values.items():
        environment.setenv(f"FOREBAY_{name}", value)
    configuration = _configuration()
    settings = _loop_settings(configuration, stage_of(Chunking))
    assert settings.retry == RetryPolicy(10, 0.5, 2, 7, rounds=(1, 2.5))
    assert settings.breaker == BreakerPolicy(50, 0.9)
    assert (settings.call_timeout, settings.stuck_limit, settings.drain_timeout) == (33, 44, 5)
    assert (settings.max_in_flight, settings.max_uncommitted_records) == (3, 1234)
    assert settings.max_held_bytes == 10_000_000
    options = _group_options(configuration.group)
    assert (options.instance_id, options.protocol) == ("worker-1", "consumer")


def test_no_rounds_and_no_breaker_can_be_asked_for(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("FOREBAY_RETRY_ROUNDS", "")
    environment.setenv("FOREBAY_BREAKER_RECORDS", "0")
    settings = _loop_settings(_configuration(), stage_of(Chunking))
    assert (settings.retry.rounds, settings.breaker) == ((), None)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("RETRY_BUDGET", "-1", "greater than or equal to 0"),
        ("RETRY_FIRST_DELAY", "0", "greater than 0"),
        ("RETRY_LONGEST_DELAY", "0.01", "at least FOREBAY_RETRY_FIRST_DELAY"),
        ("RETRY_UNKNOWN_ATTEMPTS", "none", "a valid integer"),
        ("RETRY_ROUNDS", "30,soon", "a valid number"),
        ("RETRY_ROUNDS", "30,-1", "greater than 0"),
        ("BREAKER_SHARE", "1", "less than 1"),
        ("CALL_TIMEOUT", "0", "greater than 0"),
        ("MAX_UNCOMMITTED_RECORDS", "0", "greater than or equal to 1"),
        ("MAX_HELD_BYTES", "1", "greater than or equal to 8388608"),
        ("METRICS_ADDRESS", "9464", "host:port"),
        ("METRICS_ADDRESS", "localhost:70000", "host:port"),
        ("GROUP_PROTOCOL", "eager", "'classic' or 'consumer'"),
        ("GROUP_INSTANCE_ID", "two words", "match pattern"),
    ],
)
def test_a_bad_setting_is_named_with_its_rule(
    environment: pytest.MonkeyPatch, name: str, value: str, rule: str
) -> None:
    environment.setenv(f"FOREBAY_{name}", value)
    with pytest.raises(ConfigurationInvalid) as found:
        _configuration()
    assert str(found.value).startswith(f"FOREBAY_{name}: ")
    assert rule in str(found.value)


def test_all_bad_settings_are_named_at_once(environment: pytest.MonkeyPatch) -> None:
    for name in ("FOREBAY_RETRY_BUDGET", "FOREBAY_CALL_TIMEOUT", "FOREBAY_BREAKER_SHARE"):
        environment.setenv(name, "x")
    environment.delenv("FOREBAY_KAFKA_BOOTSTRAP_SERVERS")
    with pytest.raises(ConfigurationInvalid) as found:
        _configuration()
    named = {part.split(":")[0] for part in str(found.value).split("; ")}
    assert named == {
        "FOREBAY_RETRY_BUDGET",
        "FOREBAY_CALL_TIMEOUT",
        "FOREBAY_BREAKER_SHARE",
        "FOREBAY_KAFKA_BOOTSTRAP_SERVERS",
    }


def test_figures_are_served_nowhere_unless_an_address_is_set(
    environment: pytest.MonkeyPatch,
) -> None:
    assert _configuration().worker.metrics_address is None
    environment.setenv("FOREBAY_METRICS_ADDRESS", "127.0.0.1:9464")
    assert _configuration().worker.metrics_address == ("127.0.0.1", 9464)
