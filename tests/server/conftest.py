import json
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topic_admin import TopicAdmin
from forebay_kafka.topic_plan import TopicSettings
from forebay_postgres import PostgresSettings
from forebay_server.composition import Configuration, edge
from forebay_server.settings import ServerSettings
from forebay_standalone.broker import KafkaBroker

from .keys import AUDIENCE, ISSUER, KeyServer, ec_key, key_server, private_jwk, public_jwk, token
from .log import LogReader, log_from_here

POLICY = """
tiers:
  free: {clearance: PUBLIC, top_k: 5, output_tokens: 256, context_tokens: 1024}
  standard: {clearance: INTERNAL}
  enterprise: {clearance: CONFIDENTIAL, top_k: 20, model: large}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"), free_port())
    broker.start()
    try:
        broker.wait_ready()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def kafka(broker: KafkaBroker) -> KafkaSettings:
    settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    TopicAdmin(settings, TopicSettings(document_partitions=3, query_partitions=3)).apply()
    return settings


@pytest.fixture
def keys() -> Iterator[KeyServer]:
    with key_server() as server:
        yield server


@dataclass(frozen=True)
class Installation:
    """An edge's files, and the issuer's key."""

    settings: ServerSettings
    issuer_key: Any

    def token(self, **changed: Any) -> str:
        return token(self.issuer_key, **changed)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    issuer_key, envelope_key = ec_key(), Ed25519PrivateKey.generate()
    files = {
        "jwks.json": json.dumps({"keys": [public_jwk(issuer_key, "k1")]}),
        "envelope.json": json.dumps(private_jwk(envelope_key, "e1")),
        "envelope-jwks.json": json.dumps({"keys": [public_jwk(envelope_key, "e1")]}),
        "seal": secrets.token_hex(32),
        "policy.yaml": POLICY,
        "issuers.json": json.dumps(
            [{"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": str(tmp_path / "jwks.json")}]
        ),
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    settings = ServerSettings(
        grpc_address="127.0.0.1:0",
        issuers_file=tmp_path / "issuers.json",
        policy_file=tmp_path / "policy.yaml",
        envelope_key_file=tmp_path / "envelope.json",
        envelope_jwks_file=tmp_path / "envelope-jwks.json",
        seal_secret_file=tmp_path / "seal",
        drain_timeout=3,
    )
    return Installation(settings, issuer_key)


@pytest.fixture
def postgres_nowhere() -> PostgresSettings:
    return PostgresSettings(
        retrieve_dsn=SecretStr("postgresql://nobody@127.0.0.1:1/none"), acquire_timeout_seconds=0.2
    )


@pytest.fixture
async def channel(
    installation: Installation, kafka: KafkaSettings, postgres_nowhere: PostgresSettings
) -> AsyncIterator[grpc.aio.Channel]:
    configuration = Configuration(installation.settings, kafka, postgres_nowhere)
    async with edge(configuration, share_port=False) as built:
        port = await built.server.start(built.services, "127.0.0.1:0", None)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
        await built.server.drain(0)


@pytest.fixture
def log(kafka: KafkaSettings) -> Iterator[LogReader]:
    with log_from_here(kafka) as reader:
        yield reader
