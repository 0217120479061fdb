"""The audit's way into the log is bounded, and says what did not fit."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from forebay.errors.v1 import ErrorReason
from forebay.records.v1 import AuditRecord
from forebay_kafka.envelope import EnvelopeSigner
from forebay_kafka.envelope_keys import signing_keys
from forebay_kafka.publisher import Publisher
from forebay_kafka.settings import KafkaSettings
from forebay_server.audit.activity import NOBODY, Activity
from forebay_server.audit.floods import MAX_KINDS, SINGLE_REFUSALS, Floods
from forebay_server.audit.trail import MAX_HELD_BYTES, AuditMeter, AuditTrail
from forebay_server.errors import TokenMissing
from forebay_standalone.ports import free_port

from .keys import private_jwk


def read_of_much() -> AuditRecord:
    """An answer with hundreds of passages was read: 64 KiB."""
    record = AuditRecord(name="audit-records/a", outcome=AuditRecord.OUTCOME_ALLOWED, count=1)
    passage = AuditRecord.Delivery.Passage(document="x" * 128)
    record.delivery.passages.extend([passage] * 500)
    return record


async def test_without_a_key_that_may_vouch_records_wait_and_the_end_still_comes() -> None:
    registry = CollectorRegistry()
    key = private_jwk(Ed25519PrivateKey.generate(), "e1")
    signer = EnvelopeSigner(signing_keys(json.dumps(key)), lambda _id, _time: False)
    nowhere = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}", options={"log_level": 0})
    async with (
        asyncio.timeout(10),
        Publisher(nowhere) as publisher,
        AuditTrail(publisher, signer, AuditMeter(registry)) as trail,
    ):
        trail.write(read_of_much(), NOBODY, None)
        await asyncio.sleep(0)
    lost = registry.get_sample_value("forebay_edge_audit_records_total", {"outcome": "dropped"})
    assert lost == 1


async def test_a_log_that_is_away_costs_bounded_memory_and_no_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry = CollectorRegistry()
    key = private_jwk(Ed25519PrivateKey.generate(), "e1")
    away = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}", delivery_timeout=0.5)
    record = read_of_much()
    fitting = MAX_HELD_BYTES // record.ByteSize()
    async with Publisher(away) as publisher:
        signer = EnvelopeSigner(signing_keys(json.dumps(key)))
        with caplog.at_level(logging.ERROR, "forebay_server.audit.trail"):
            async with AuditTrail(publisher, signer, AuditMeter(registry)) as trail:
                began = time.perf_counter()
                for _ in range(fitting + 1_000):
                    trail.write(record, NOBODY, None)
                assert time.perf_counter() - began < 1
                at_once = registry.get_sample_value(
                    "forebay_edge_audit_records_total", {"outcome": "dropped"}
                )
                assert at_once is not None
                assert at_once >= 1_000
    lost = registry.get_sample_value("forebay_edge_audit_records_total", {"outcome": "dropped"})
    assert lost == fitting + 1_000
    [said] = caplog.records
    assert said.__dict__["calls"] == lost


async def test_what_a_refused_stream_had_shown_is_never_told_by_a_number() -> None:
    registry = CollectorRegistry()
    away = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}", delivery_timeout=0.5)
    signer = EnvelopeSigner(
        signing_keys(json.dumps(private_jwk(Ed25519PrivateKey.generate(), "e1")))
    )
    shown = AuditRecord(name="audit-records/a", outcome=AuditRecord.OUTCOME_DENIED, count=1)
    shown.delivery.events = 1
    async with (
        Publisher(away) as publisher,
        AuditTrail(publisher, signer, AuditMeter(registry)) as trail,
    ):
        for _ in range(2 * SINGLE_REFUSALS):
            trail.write(shown, NOBODY, None)
    outcomes = {
        outcome: registry.get_sample_value("forebay_edge_audit_records_total", {"outcome": outcome})
        for outcome in ("summed", "dropped")
    }
    assert outcomes == {"summed": 0, "dropped": 2 * SINGLE_REFUSALS}


@pytest.fixture
def refusals() -> Iterator[AuditRecord]:
    """Refusals as a chain tells them, one after another."""
    told: list[AuditRecord] = []

    def endless() -> Iterator[AuditRecord]:
        while True:
            activity = Activity("/s/M", write=lambda record, *_: told.append(record))
            activity.refuse(TokenMissing())
            yield told.pop()

    return endless()


def test_a_flood_of_refusals_is_told_by_its_number(refusals: Iterator[AuditRecord]) -> None:
    floods = Floods()
    single = [floods.is_single(NOBODY) for _ in range(10 * SINGLE_REFUSALS)]
    assert sum(single) == SINGLE_REFUSALS
    for _ in range(500):
        assert floods.count(next(refusals), NOBODY)
    [(told, who)] = floods.turn()
    assert who == NOBODY
    assert (told.count, told.method) == (500, "/s/M")
    assert told.reason == ErrorReason.ERROR_REASON_TOKEN_MISSING
    assert told.outcome == AuditRecord.OUTCOME_DENIED
    assert told.name.startswith("audit-records/")
    assert floods.turn() == []
    assert floods.is_single(NOBODY)


def test_a_flood_of_many_kinds_is_bounded_too() -> None:
    floods = Floods()
    taken = [
        floods.count(AuditRecord(method=f"/s/M{number}"), NOBODY) for number in range(2 * MAX_KINDS)
    ]
    assert sum(taken) == len(floods.turn()) == MAX_KINDS
