"""A real broker with the contract's topics, and somebody who may sign envelopes."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message

from forebay.policy.v1 import Visibility
from forebay_kafka.envelope import EnvelopeSigner, EnvelopeVerifier, Statement
from forebay_kafka.envelope_keys import signing_keys, verification_keys
from forebay_kafka.identity import GenerationLimits, Identity
from forebay_kafka.publisher import Publisher
from forebay_kafka.records import record_type
from forebay_kafka.settings import KafkaSettings
from forebay_kafka.topic_admin import TopicAdmin
from forebay_kafka.topic_plan import TopicSettings
from forebay_standalone.broker import KafkaBroker
from forebay_standalone.ports import free_port

FEW_PARTITIONS = TopicSettings(document_partitions=4, query_partitions=4, letter_partitions=2)


@dataclass(frozen=True)
class Authority:
    """One key: who signs with it, who verifies with it, and the key itself."""

    signer: EnvelopeSigner
    verifier: EnvelopeVerifier
    jwks: str
    key: Ed25519PrivateKey

    def seal(self, message: Message, identity: Identity, statement: Statement) -> bytes:
        """An envelope for a record as the edge would write it."""
        value = message.SerializeToString()
        return self.signer.seal(identity, record_type(type(message)), value, statement)


def new_authority(key_id: str = "2026-11") -> Authority:
    key = Ed25519PrivateKey.generate()
    algorithm = jwt.get_algorithm_by_name("EdDSA")
    private = {**algorithm.to_jwk(key, as_dict=True), "kid": key_id}
    public = {name: value for name, value in private.items() if name != "d"}
    jwks = json.dumps({"keys": [public]})
    return Authority(
        EnvelopeSigner(signing_keys(json.dumps(private))),
        EnvelopeVerifier(verification_keys(jwks)),
        jwks,
        key,
    )


@pytest.fixture(scope="session")
def authority() -> Authority:
    return new_authority()


@pytest.fixture(scope="session")
def stranger() -> Authority:
    """Another key under the same key id."""
    return new_authority()


@pytest.fixture
def identity() -> Identity:
    return Identity(
        issuer="https://id.example",
        tenant="acme",
        subject="ada",
        tier="standard",
        clearance=Visibility.VISIBILITY_INTERNAL,
        groups=("turbines", "weirs"),
        limits=GenerationLimits(model="m", output_tokens=500, context_tokens=4_000),
        policy_version="7",
    )


@pytest.fixture(scope="session")
def launch(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., tuple[KafkaBroker, KafkaSettings]]]:
    """Starts a broker with the contract's topics, and settings of its own; it ends in the end."""
    started: list[KafkaBroker] = []

    def start(**settings: str) -> tuple[KafkaBroker, KafkaSettings]:
        broker = KafkaBroker(tmp_path_factory.mktemp("kafka"), free_port(), settings=settings)
        started.append(broker)
        broker.start()
        broker.wait_ready()
        kafka = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers,
            delivery_timeout=3.0,
            # A lost connection is expected where a test stops the broker.
            options={"log_level": 0},
        )
        TopicAdmin(kafka, FEW_PARTITIONS).apply()
        return broker, kafka

    yield start
    for broker in started:
        broker.stop()


@pytest.fixture(scope="session")
def settings(launch: Callable[..., tuple[KafkaBroker, KafkaSettings]]) -> KafkaSettings:
    """How to reach the broker that the whole session shares."""
    return launch()[1]


@pytest.fixture
async def publisher(settings: KafkaSettings) -> AsyncIterator[Publisher]:
    async with Publisher(settings) as open_publisher:
        yield open_publisher


@pytest.fixture
def query() -> str:
    """The name of a query that nobody else has."""
    return f"queries/{uuid4().hex}"
